"""A diff lists exactly what was done."""

from core.daemon.client import Client
from tests.guests import Guest


def test_exactly_six_changes(main: Guest, client: Client) -> None:
    main.text(
        "mkdir -p /root/work/.git && cd /root/work && echo a > modified && echo b > deleted && echo c > before &&"
        " echo d > tool && ln -s modified link && mkdir node_modules && echo same > node_modules/same"
    )
    client.fork("main", 2)
    branch = main.other("b1")
    parent = next(item.parent for item in client.tree().branches if item.name == "b1")
    assert parent is not None
    assert client.diff(parent, "b1").entries == ()
    branch.text(
        "cd /root/work && echo changed > modified && rm deleted && echo new > .git/created && mv before after &&"
        " chmod +x tool && ln -sfn tool link && touch node_modules/same && cat node_modules/same > /dev/null"
    )
    found = client.diff(parent, "b1")
    told = {(entry.path, entry.kind, tuple(w for w in entry.what if w != "mtime")) for entry in found.entries}
    assert told == {
        ("/root/work/modified", "modified", ("content", "size")),
        ("/root/work/deleted", "removed", ()),
        ("/root/work/.git/created", "added", ()),
        ("/root/work/after", "renamed", ()),
        ("/root/work/tool", "modified", ("mode",)),
        ("/root/work/link", "modified", ("target",)),
    }
    assert found.notes == ()
    patch = client.patch(parent, "b1").decode()
    assert "-a\n+changed\n" in patch
    assert "rename from root/work/before" in patch
    assert "new mode 100755" in patch
    assert client.diff("b2", parent).entries == ()
