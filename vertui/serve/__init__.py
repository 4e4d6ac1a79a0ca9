"""The UI on a page: a server on loopback, and a terminal in the browser.

page       what the browser shows: a terminal (textual-serve's script, xterm.js in it) that fills the window
program    the UI in a terminal of its own, one a page; it ends with the page, as with any terminal that is closed
downloads  what is saved in a UI: its page fetches it, once, and the browser keeps it
gate       who is let in: the bearer of the token in the URL, who is known by a cookie from then on

textual-serve's own server is left alone: it lets everybody in, and its UI could not be left for an editor or a pager.
"""
