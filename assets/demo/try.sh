# try.sh NUMBER [SECONDS]: apply the patch of this number, run the tests under a time limit, and end with 0 only if all
# of them pass.
number=$((($1 - 1) % 4 + 1)) limit=${2:-15}
set -- half right wrong hang
eval "patch=\${$number}"
cd /root/demo/project || exit
echo "the patch '$patch'"
git apply "../patches/$patch.patch" || exit
{
    timeout "$limit" python3 -B ../score.py
    echo $? >/dev/shm/ended
} | tee /dev/shm/score
read -r ended </dev/shm/ended
[ "$ended" = 0 ] || exit "$ended"
grep -q '"passed": \([0-9]*\), "total": \1}' /dev/shm/score
