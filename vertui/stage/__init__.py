"""`vertui demo --ui`: the demo played inside the UI, for an audience.

scene     a part of the main job, with what is said of it and the keys that do it
player    presses the keys, which are shown, and shows what is said; any key of somebody's own holds it
bar       where both are shown, below every screen
"""
