#!/usr/lib/vertui/busybox sh
# Keeps the agent running. It stands beside the agent, not in what is frozen for a commit as init does, so that an agent
# that ends meanwhile is started anew: nobody else could thaw the guest. The agent takes it into its own cgroup.
trap '' HUP INT QUIT USR1 USR2 PIPE TERM STKFLT TSTP TTIN TTOU VTALRM PROF IO PWR
echo -1000 > /proc/self/oom_score_adj
while :; do
    /usr/lib/vertui/vertui-agent -S -E -B /usr/lib/vertui/agent
    /usr/lib/vertui/busybox sleep 0.2
done
