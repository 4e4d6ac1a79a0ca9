"""The store: every commit's memory and disk as 4 KiB pages, each distinct content kept once.

    page id     a dense number given once per distinct content (BLAKE3), never reused; 0 is the zero page
    pack        an append-once file of compressed frames (Zstandard seekable format) and the directory of its pages;
                an *external* pack has a directory only: its pages stand in an image's root disk or kernel
    location    pack number and row in its directory: all that compaction changes
    index       hash → id and id → location, sorted, mapped; a merged copy of directories, so it can be rebuilt
    page table  one array of page ids per commit and medium, stored as what differs from the table it leans on
    record      a commit's one file: manifest, device state, both tables, each with its hash
    pin         the page ids an unfinished seal or read has looked up: gc leaves them alone

Life of a page: captured → hashed (`identify`) → looked up, pinned → new ones numbered and packed (`put`) → named by a
table → read by frame, verified → marked dead (`gc`) → its pack goes whole, or is rewritten without it (`compact`).

Invariants
 1. A record on disk names only pages whose packs are on disk: pack, then directory, then record, then catalog row.
    Removal goes the other way: row, record, index without the pages, packs.
 2. Two pages a table names have one id exactly when their contents are equal. One sealer at a time numbers pages.
 3. An id's content never changes: a location may, after the new pack and then the new index are durable.
 4. Nothing read is handed on before its frame and its page have the hash that was written; Damaged names the rest.
 5. A number of a page or pack is never used twice: the index keeps the next of each. A pack below that number which the
    index does not name is dead; one at or above it is newer than the index and is read in full when the store opens.
 6. Packs hold everything the index says; records hold everything the catalog says of commits.

Every write goes through `core.files.Files`, in this order (✓ = fsync):
    put      pack ✓, packs/ ✓ → record beside its place ✓, renamed, commits/ ✓
    delete   records that lean on it rewritten (as above) → record unlinked
    gc       commits/ ✓ → index beside its place ✓, renamed, store directory ✓ → dead packs unlinked
    compact  new pack ✓, packs/ ✓ → index as above → old packs unlinked
"""
