"""Whatever verbs come in whatever order, tree, trunk, names, trash, undo and redo are what the model says."""

from dataclasses import replace
from itertools import combinations
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.model import OperationState
from core.refs import TRUNK
from tests.conftest import full
from tests.twins.beside import LOST, PAUSED, RUNNING, RUNS, SUSPENDED, Beside
from tests.twins.engine import IMAGES
from tests.twins.model import Branch, Commit, Step, World

SEQUENCES, STEPS = (5000, 30) if full() else (100, 20)
PICK = st.integers(0, 60)
NAME = st.sampled_from(["main", "a", "b", "w1", "x"])
PUBLISHING = ["publish", "unpublish"]
LINKING = ["link", "unlink"]


class Verbs(Beside):
    """Every verb, as a rule."""

    # -- verbs -----------------------------------------------------------------------------------------------

    @rule(image=st.sampled_from(IMAGES), name=NAME)
    def up(self, image: str, name: str) -> None:
        found = next((i for i in self.engine.catalog.images() if i.name == image), None)
        answer = self.ask(found is not None and self.free(name), "up", image, name)
        if answer and found:
            row = Branch(name, found.id, found.golden, found.golden, None, None, RUNNING)
            world = self.model.world.having({answer.id: row})
            self.model.become(replace(world, trunk=world.trunk or answer.id), "up")

    @precondition(lambda self: self.model.world.branches)
    @rule(pick=PICK, message=st.sampled_from(["", "one", "two"]), wait=st.booleans())
    def commit(self, pick: int, message: str, wait: bool) -> None:
        id = self.one(pick, *RUNS)
        branch = self.model.world.branches[id]
        expected = self.captured(id, message) if branch.state in RUNS else (None, None)
        if self.ask(branch.state in RUNS, "commit", branch.name, message, wait):
            head, commits = self.learned(id, *expected)
            if commits:
                world = self.model.world.having({id: replace(branch, head=head)}, commits)
                self.model.become(world, "commit")

    @precondition(lambda self: self.model.world.branches)
    @rule(pick=PICK, n=st.integers(1, 2), name=NAME)
    def fork(self, pick: int, n: int, name: str) -> None:
        id = self.one(pick, *RUNS)
        branch = self.model.world.branches[id]
        names = [name] if n == 1 else [f"{name}{number}" for number in range(1, n + 1)]
        if branch.state not in RUNS:
            self.fork_of(branch.head, branch.name, id, names, name)
            return
        known, made = self.captured(id, f"fork into {names[0]}" + (f"…{names[-1]}" if n > 1 else ""))
        quiesced = made.quiesced if made else self.model.world.commits[branch.head].quiesced
        if forked := self.ask(self.free(*names) and quiesced, "fork", branch.name, n, name):
            head, commits = self.learned(id, known, made)
            assert forked.commit.id == head
            world = self.model.world.having({id: replace(branch, head=head)}, commits)
            self.add_children(world, forked.operation, names, head, id)

    @rule(pick=PICK, n=st.integers(1, 2), name=NAME)
    def fork_a_commit(self, pick: int, n: int, name: str) -> None:
        if not (commits := self.model.world.commits):
            return
        commit = self.aged(commits)[pick % len(commits)]
        label = commits[commit].branch
        parent = next((i for i, b in self.model.world.branches.items() if b.name == label), None)
        names = [name] if n == 1 else [f"{name}{number}" for number in range(1, n + 1)]
        self.fork_of(commit, commit, parent, names, name)

    def fork_of(self, commit: str, ref: str, parent: str | None, names: list[str], prefix: str) -> None:
        allowed = self.free(*names) and self.model.world.commits[commit].quiesced
        if forked := self.ask(allowed, "fork", ref, len(names), prefix):
            self.add_children(self.model.world, forked.operation, names, commit, parent)

    def add_children(
        self, world: World, operation: int, names: list[str], commit: str, parent: str | None
    ) -> None:
        image, own = world.commits[commit].image, world.branches.get(parent or "")
        ports = (own.ports if own else frozenset()) | (
            world.ports if own and parent == world.trunk else set()
        )
        reach = own.egress if own else "off"
        rows = {
            self.engine.branch(n).id: Branch(
                n, image, commit, commit, parent, operation, RUNNING, ports=ports, egress=reach
            )
            for n in names
        }
        self.model.become(world.having(rows), "fork")

    @precondition(lambda self: self.model.world.branches)
    @rule(pick=PICK)
    def pause(self, pick: int) -> None:
        id = self.one(pick, RUNNING)
        branch = self.model.world.branches[id]
        if self.ask(branch.state == RUNNING, "pause", branch.name):
            self.model.become(self.model.world.having({id: replace(branch, state=PAUSED)}), "pause")

    @precondition(lambda self: self.model.world.branches)
    @rule(pick=PICK)
    def resume(self, pick: int) -> None:
        id = self.one(pick, PAUSED, LOST, SUSPENDED)
        branch = self.model.world.branches[id]
        if self.ask(branch.state != RUNNING, "resume", branch.name):
            world = self.model.world.having({id: replace(branch, state=RUNNING)})
            self.model.become(world, "resume" if branch.state == PAUSED else "")
            if branch.state != PAUSED:
                self.model.ended(id)
            for step in (*self.model.done, *self.model.undone):
                step.may_be_gone |= (
                    step.verb == "suspend" and id in step.ended
                )  # it is not suspended any more
            self.restarted({id})

    @precondition(lambda self: self.model.world.branches)
    @rule(pick=PICK)
    def suspend(self, pick: int) -> None:
        id, before = self.one(pick, *RUNS), self.model.world
        expected = self.captured(id, "suspend") if before.branches[id].state in RUNS else (None, None)
        if self.ask(before.branches[id].state in RUNS, "suspend", before.branches[id].name):
            self.model.become(self.asleep(before, id, *self.learned(id, *expected)), "suspend")
            self.restarted({id})

    def asleep(self, world: World, id: str, head: str, commits: dict[str, Commit]) -> World:
        return world.having({id: replace(world.branches[id], head=head, state=SUSPENDED)}, commits)

    @precondition(lambda self: self.model.world.branches)
    @rule(pick=PICK, which=PICK)
    def restore(self, pick: int, which: int) -> None:
        id = self.one(pick)
        branch, before = self.model.world.branches[id], self.model.world
        commit = self.aged(before.commits)[which % len(before.commits)]
        expected = self.captured(id, "before restore") if branch.state in RUNS else (None, None)
        if self.ask(before.commits[commit].image == branch.image, "restore", branch.name, commit):
            _, commits = self.learned(id, *expected)
            after = before.having({id: replace(branch, head=commit, state=RUNNING)}, commits)
            self.model.become(after, "restore")
            self.restarted({id})

    @precondition(lambda self: self.model.world.commits)
    @rule(pick=PICK, name=st.sampled_from(["good", "w1", "b"]))
    def tag(self, pick: int, name: str) -> None:
        commits = self.model.world.commits
        commit = self.aged(commits)[pick % len(commits)]
        if self.ask(self.free(name), "tag", commit, name):
            tagged = replace(commits[commit], tags=(*commits[commit].tags, name))
            self.model.become(self.model.world.having({}, {commit: tagged}), "tag")

    @precondition(lambda self: self.model.world.branches)
    @rule(pick=PICK, name=NAME)
    def rename(self, pick: int, name: str) -> None:
        id = self.one(pick)
        branch = self.model.world.branches[id]
        if self.ask(self.free(name), "rename", branch.name, name):
            self.model.become(self.model.world.having({id: replace(branch, name=name)}), "rename")

    @precondition(lambda self: self.model.world.branches)
    @rule(pick=PICK, score=st.integers(0, 3).map(float), note=st.sampled_from(["", "good"]))
    def score(self, pick: int, score: float, note: str) -> None:
        id = self.one(pick)
        branch = self.model.world.branches[id]
        assert self.ask(True, "score", branch.name, score, note)
        self.model.become(self.model.world.having({id: replace(branch, score=(score, note))}), "score")

    @precondition(lambda self: self.model.world.branches)
    @rule(
        pick=PICK, port=st.sampled_from(["80", "81"]), trunk=st.booleans(), verb=st.sampled_from(PUBLISHING)
    )
    def publish(self, pick: int, port: str, trunk: bool, verb: str) -> None:
        id, world = self.one(pick), self.model.world
        branch, key = world.branches[id], frozenset({f"{port}/tcp"})
        had = world.ports if trunk else branch.ports
        allowed = (key <= had) == (verb == "unpublish") and (world.trunk is not None or not trunk)
        if self.ask(allowed, verb, TRUNK if trunk else branch.name, (port,)):
            after = had - key if verb == "unpublish" else had | key
            own = world.having({id: replace(branch, ports=after)})
            self.model.become(replace(world, ports=after) if trunk else own, verb)

    @precondition(lambda self: self.model.world.branches)
    @rule(pick=PICK, words=st.sampled_from(["off", "open", "allow a.org:80", "allow 10.0.0.0/8 *.b.org"]))
    def egress(self, pick: int, words: str) -> None:
        id, (mode, *rules) = self.one(pick), words.split()
        branch = self.model.world.branches[id]
        assert self.ask(True, "egress", branch.name, mode, tuple(rules))
        self.model.become(self.model.world.having({id: replace(branch, egress=words)}), "egress")

    @invariant()
    def machines_reach_what_their_rows_say(self) -> None:
        for id, live in self.engine.machines.live.items():
            assert live.network.reach == self.engine.catalog.branch(id).egress

    @precondition(lambda self: self.model.world.branches)
    @rule(picks=st.lists(PICK, min_size=1, max_size=3), verb=st.sampled_from(LINKING))
    def link(self, picks: list[int], verb: str) -> None:
        world, ids = self.model.world, list(dict.fromkeys(map(self.one, picks)))
        pairs = frozenset(map(frozenset, combinations(ids, 2)))
        if verb == "link":
            allowed, after = not pairs <= world.links, world.links | pairs
        else:
            meant = pairs or {link for link in world.links if ids[0] in link}
            allowed = any(link <= world.branches.keys() for link in meant & world.links)
            after = world.links - meant
        if self.ask(allowed, verb, tuple(world.branches[id].name for id in ids)):
            self.model.become(replace(world, links=after), verb)

    @invariant()
    def those_that_are_linked_and_no_others_reach_each_other(self) -> None:
        numbers = {row.id: row.number for row in self.engine.catalog.branches()}
        there = (link for link in self.model.world.links if link <= numbers.keys())
        assert self.twins.hub.pairs == {tuple(sorted(numbers[id] for id in link)) for link in there}

    @precondition(lambda self: len(self.model.world.branches) > 1)
    @rule(pick=PICK, prune_losers=st.booleans())
    def promote(self, pick: int, prune_losers: bool) -> None:
        id, before = self.one(pick), self.model.world
        losers = self.losers(id) if prune_losers else set()
        saved = self.saving(losers)
        if self.ask(id != before.trunk, "promote", before.branches[id].name, prune_losers):
            self.prune_into_trash("promote", losers, set(), saved, trunk=id)

    def losers(self, winner: str) -> set[str]:
        branches, spared = self.model.world.branches, {winner, self.model.world.trunk}
        fork = branches[winner].fork
        found = {id for id, b in branches.items() if fork is not None and b.fork == fork} - spared
        while more := {id for id, b in branches.items() if b.parent_branch in found} - found - spared:
            found |= more
        return found

    @precondition(lambda self: self.model.world.branches)
    @rule(picks=st.lists(PICK, min_size=1, max_size=2), now=st.booleans())
    def prune(self, picks: list[int], now: bool) -> None:
        world = self.model.world
        ids = {self.one(pick) for pick in picks}
        self.prune_all(ids, set(), world.trunk not in ids or len(ids) == len(world.branches), now=now)

    @precondition(lambda self: self.model.world.commits)
    @rule(pick=PICK, now=st.booleans())
    def prune_a_commit(self, pick: int, now: bool) -> None:
        commits = self.model.world.commits
        commit = self.aged(commits)[pick % len(commits)]
        heads = {branch.head for branch in self.model.world.branches.values()}
        self.prune_all(set(), {commit}, commit not in heads | self.model.goldens, now=now)

    def prune_all(self, ids: set[str], commits: set[str], allowed: bool, *, now: bool) -> None:
        names = [self.model.world.branches[id].name for id in self.aged(ids)]
        saved = {} if now else self.saving(ids)
        if not self.ask(allowed, "prune", (*names, *commits), now):
            return
        if now:
            gone = commits | (self.model.orphans(ids) if ids else set())
            self.model.remove(
                ids | gone | {id for id, b in self.model.trash.branches.items() if b.head in gone}
            )
        else:
            self.prune_into_trash("prune", ids, commits, saved)

    def saving(self, ids: set[str]) -> dict[str, tuple[str | None, Commit | None]]:
        branches = self.model.world.branches
        return {id: self.captured(id, "before prune") for id in ids if branches[id].state in RUNS}

    def prune_into_trash(
        self, verb: str, ids: set[str], commits: set[str], saved: Any, trunk: str | None = None
    ) -> None:
        """They go as they are, with the commits that only they have."""
        before = self.model.world
        self.model.world = before.having(*self.as_saved(saved))
        orphans = self.model.orphans(ids) if ids else set()
        after = self.model.world.lacking(ids | commits | orphans)
        self.model.become(replace(after, trunk=trunk or after.trunk), verb, before=before)
        self.restarted(ids)

    def as_saved(self, saved: Any) -> tuple[dict[str, Branch], dict[str, Commit]]:
        rows: dict[str, Branch] = {}
        commits: dict[str, Commit] = {}
        for id, expected in saved.items():
            head, made = self.learned(id, *expected)
            rows[id] = replace(self.model.world.branches[id], head=head)
            commits |= made
        return rows, commits

    @precondition(lambda self: self.model.world.branches)
    @rule(pick=PICK, into=PICK)
    def apply(self, pick: int, into: int) -> None:
        source, target = (self.model.world.branches[id] for id in (self.one(pick), self.one(into, RUNNING)))
        self.ask(target.state == RUNNING and source.image == target.image, "apply", source.name, target.name)

    @precondition(lambda self: self.model.trash.branches or self.model.trash.commits)
    @rule(pick=PICK)
    def take_out_of_the_trash(self, pick: int) -> None:
        model, entries = self.model, self.aged([*self.model.trash.branches, *self.model.trash.commits])
        entry = entries[pick % len(entries)]
        if (branch := model.trash.branches.get(entry)) is None:
            assert self.ask(True, "trash restore", entry)
            model.become(model.world.having({}, {entry: model.trash.commits[entry]}), "trash restore")
            return
        names = {other.name for other in model.world.branches.values()}
        if self.ask(branch.name not in names, "trash restore", entry):
            back = model.world.ancestors(branch.head, model.trash.commits) & model.trash.commits.keys()
            back = {c for c in back if c == branch.head or model.binned[c] == model.binned[entry]}
            world = model.world.having({entry: branch}, {c: model.trash.commits[c] for c in back})
            model.become(world, "trash restore")
            self.restarted({entry})

    @precondition(lambda self: self.model.trash.branches or self.model.trash.commits)
    @rule()
    def empty_the_trash(self) -> None:
        assert self.ask(True, "trash empty")
        self.model.remove({*self.model.trash.branches, *self.model.trash.commits})

    @rule(image=st.sampled_from(IMAGES), sure=st.integers(0, 4))
    def remove_an_image(self, image: str, sure: int) -> None:
        found = next((i for i in self.engine.catalog.images() if i.name == image), None)
        everything = self.model.world.having(self.model.trash.branches, self.model.trash.commits)
        used = found is None or any(b.image == found.id for b in everything.branches.values())
        if (used or not sure) and self.ask(not used, "image rm", image) and found:
            self.model.goldens -= {self.images[found.id]}
            self.model.remove({id for id, c in everything.commits.items() if c.image == found.id})

    # -- undo, redo ------------------------------------------------------------------------------------------

    @rule()
    def undo(self) -> None:
        if not self.model.done:
            self.ask(False, "undo")
        elif self.turn(self.model.done[-1], back=True):
            self.model.undone.append(self.model.done.pop())
        else:
            self.pass_over(self.model.done, OperationState.DONE)

    @rule()
    def redo(self) -> None:
        if not self.model.undone:
            self.ask(False, "redo")
        elif self.turn(self.model.undone[-1], back=False):
            self.model.done.append(self.model.undone.pop())
        else:
            self.pass_over(self.model.undone, OperationState.UNDONE)

    def pass_over(self, steps: list[Step], state: OperationState) -> None:
        """What needs something that was removed for good is refused once."""
        if self.offered(state) < len(steps):
            assert steps.pop().may_be_gone

    def offered(self, state: OperationState) -> int:
        """Of how many operations may it be asked?"""
        return sum(row.undoable for row in self.engine.catalog.operations(state=state))

    @invariant()
    def what_is_offered_are_the_steps(self) -> None:
        for steps, state in (
            (self.model.done, OperationState.DONE),
            (self.model.undone, OperationState.UNDONE),
        ):
            assert self.offered(state) == len(steps)

    def turn(self, step: Step, *, back: bool) -> bool:
        model = self.model
        anew = step.verb == "suspend" and not back
        world = model.world if anew else model.turned(step, back=back)
        appearing = (world.branches.keys() - model.world.branches) | (
            world.commits.keys() - model.world.commits
        )
        allowed = None if step.ended or step.may_be_gone else True
        allowed = False if appearing & model.gone else allowed
        vanishing = model.world.branches.keys() - world.branches
        went = model.world.lacking({*world.branches, *world.commits})
        saved = self.saving(vanishing)
        there = model.world.branches
        slept = [id for id in step.changed & there.keys() if there[id].state in RUNS] if anew else []
        expected = [self.captured(id, "suspend") for id in slept]
        if not self.ask(allowed, "undo" if back else "redo"):
            return False
        for id, one in zip(slept, expected, strict=True):
            head, commits = self.learned(id, *one)
            world = self.asleep(world, id, head, commits)
            step.after = self.asleep(step.after, id, head, commits)
        step.take_along(went, back=back)
        seen = self.twins.world()
        for id in step.ended & world.branches.keys():  # whether it runs follows from both
            world.branches[id] = replace(world.branches[id], state=seen.branches[id].state)
        model.world = model.world.having(*self.as_saved(saved))
        model.become(world)
        auto = self.twins.world(deleted=True).commits
        strangers = {k: c for k, c in auto.items() if k not in self.known() and c.message == "before restore"}
        assert step.verb == "restore" or not strangers
        model.trash = model.trash.having({}, strangers)
        model.binned |= dict.fromkeys(strangers, max(model.binned.values(), default=0) + 1)
        changed = step.changed if step.verb in ("restore", "suspend") else set()
        self.restarted((appearing & world.branches.keys()) | changed)
        return True

    # -- what happens by itself ------------------------------------------------------------------------------

    @precondition(lambda self: any(b.state in RUNS for b in self.model.world.branches.values()))
    @rule(pick=PICK)
    def a_machine_ends(self, pick: int) -> None:
        id = self.one(pick, *RUNS)
        branch = self.model.world.branches[id]
        self.run(self.twins.crash(branch.name))
        self.model.become(self.model.world.having({id: replace(branch, state=LOST)}))
        self.model.ended(id)
        self.restarted({id})

    @precondition(lambda self: any(b.state == RUNNING for b in self.model.world.branches.values()))
    @rule(pick=PICK, stubborn=st.booleans())
    def a_guest_does_not_freeze(self, pick: int, stubborn: bool) -> None:
        name = self.model.world.branches[self.one(pick, RUNNING)].name
        self.twins.machine(name).guest.stubborn = stubborn

    # -- what is always so -----------------------------------------------------------------------------------

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        for deleted, expected in ((False, self.model.world), (True, self.model.trash)):
            seen = self.twins.world(deleted=deleted)
            assert seen == expected, differing(seen, expected)
        for commit in self.engine.commits():
            assert commit.parents == self.model.shown_parents(commit.id)
        assert {b.head for b in self.model.world.branches.values()} <= self.model.world.commits.keys()

    @invariant()
    def machines_are_those_of_branches_and_distinct(self) -> None:
        running = {id: b for id, b in self.model.world.branches.items() if b.state in RUNS}
        assert self.engine.machines.live.keys() == running.keys()
        guests = {id: self.twins.machine(branch.name).guest for id, branch in running.items()}
        assert len({guest.generation for guest in guests.values()}) == len(guests)
        for id, guest in guests.items():
            quiesced = running[id].state == PAUSED and not guest.stubborn
            assert guest.frozen == quiesced
            assert running[id].state == RUNNING or self.engine.catalog.branch(id).quiesced == quiesced


def differing(seen: World, expected: World) -> list[tuple[str, object, object]]:
    """Each id of which something else was expected, with both."""
    a, b = (
        {**w.branches, **w.commits, "the trunk": (w.trunk, w.ports), "links": w.links}
        for w in (seen, expected)
    )
    return [(key, a.get(key), b.get(key)) for key in a.keys() | b.keys() if a.get(key) != b.get(key)]


def test_whatever_order_verbs_come_in() -> None:
    unhurried = settings(
        max_examples=SEQUENCES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck),
        derandomize=not full(), print_blob=True,
    )  # fmt: skip
    run_state_machine_as_test(Verbs, settings=unhurried)
