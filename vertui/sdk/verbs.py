"""Every verb as a method, of a home and, where it is done to one branch, of branches.

What a fork, `up` and `rename` give is made into something else, and they stand with the handles. A verb of somebody
else's own (VERTUI_VERBS) is asked for by its value: `v.do(Theirs(…))`.
"""

from core.verbs import (
    apply,
    cold_boot,
    commit,
    egress,
    hand_over,
    link,
    mirrors,
    pause,
    policy,
    promote,
    proxy,
    prune,
    publish,
    recover,
    redo,
    restore,
    resume,
    score,
    suspend,
    tag,
    undo,
    unlink,
    unpublish,
    weigh,
)
from core.verbs.image import build as image_build
from core.verbs.image import egress as image_egress
from core.verbs.image import rm as image_rm
from core.verbs.journal import append as journal_append
from core.verbs.secret import rm as secret_rm
from core.verbs.secret import set as secret_set
from core.verbs.store import compact as store_compact
from core.verbs.store import gc as store_gc
from core.verbs.token import new as token_new
from core.verbs.token import revoke as token_revoke
from core.verbs.trash import empty as trash_empty
from core.verbs.trash import restore as trash_restore
from vertui.sdk.methods import of_branch, of_home


class VerbsOfHome:
    """What a home is asked for. What the command line shows a plan of is carried out at once: `plan` shows it."""

    apply = of_home(apply.Apply)
    cold_boot = of_home(cold_boot.ColdBoot)
    commit = of_home(commit.Commit)
    egress = of_home(egress.Egress)
    hand_over = of_home(hand_over.HandOver)
    image_build = of_home(image_build.Build)
    image_egress = of_home(image_egress.Egress)
    image_rm = of_home(image_rm.Rm)
    journal_append = of_home(journal_append.Append)
    link = of_home(link.Link)
    mirrors = of_home(mirrors.Mirrors)
    pause = of_home(pause.Pause)
    policy = of_home(policy.Policy)
    promote = of_home(promote.Promote)
    proxy = of_home(proxy.Proxy)
    prune = of_home(prune.Prune)
    publish = of_home(publish.Publish)
    recover = of_home(recover.Recover)
    redo = of_home(redo.Redo)
    restore = of_home(restore.Restore)
    resume = of_home(resume.Resume)
    score = of_home(score.Score)
    secret_rm = of_home(secret_rm.Rm)
    secret_set = of_home(secret_set.Set)
    store_compact = of_home(store_compact.Compact)
    store_gc = of_home(store_gc.Gc)
    suspend = of_home(suspend.Suspend)
    tag = of_home(tag.Tag)
    token_new = of_home(token_new.New)
    token_revoke = of_home(token_revoke.Revoke)
    trash_empty = of_home(trash_empty.Empty)
    trash_restore = of_home(trash_restore.Restore)
    undo = of_home(undo.Undo)
    unlink = of_home(unlink.Unlink)
    unpublish = of_home(unpublish.Unpublish)
    weigh = of_home(weigh.Weigh)


class VerbsOfBranch:
    """What is done to one branch. `apply` brings its changes into another."""

    apply = of_branch(apply.Apply)
    cold_boot = of_branch(cold_boot.ColdBoot)
    commit = of_branch(commit.Commit)
    egress = of_branch(egress.Egress)
    hand_over = of_branch(hand_over.HandOver)
    journal_append = of_branch(journal_append.Append)
    mirrors = of_branch(mirrors.Mirrors)
    pause = of_branch(pause.Pause)
    policy = of_branch(policy.Policy)
    promote = of_branch(promote.Promote)
    publish = of_branch(publish.Publish)
    recover = of_branch(recover.Recover)
    restore = of_branch(restore.Restore)
    resume = of_branch(resume.Resume)
    score = of_branch(score.Score)
    suspend = of_branch(suspend.Suspend)
    tag = of_branch(tag.Tag)
    unpublish = of_branch(unpublish.Unpublish)
    weigh = of_branch(weigh.Weigh)
