"""Swarms: N ways tried at once in forks of one state, the best of them kept.

- A *spec* says what is tried (`spec`), a *record* what came of it so far (`record`), step by step. A *step* has a name
  that is the same whenever the swarm is played, and a request id made of that: one that was taken before the swarm was
  killed is answered by the record, or by the daemon, and is not taken twice (`steps`). So a swarm goes on by being
  played from its beginning.
- A *try* is a branch with a command; *rounds* fork the best tries again (`rounds`). A *driver* is a Python function
  that takes steps of its own (`drivers`).
- What a try does is *work* (`work`): a command in its branch, or a call of a Python function here (`vertui.sdk`). What
  commands say they cost is heard as they say it (`costs`).
- What happens on machines is done by *hands* (`hands`): the daemon's verbs, by a client. Commands run on, and are
  scored, while no process of the swarm lives.
"""
