# What a node takes for granted, laid in mount and network namespaces of their own, so that nothing of it is seen or kept
# outside: $1 is the folder for what is too large for memory, $2 the node's address.
set -eu
for place in /run /var/lib /var/log; do
    mount -t tmpfs tmpfs "$place"
done
for name in containerd kubelet; do
    mkdir -p "$1/$name" "/var/lib/$name"
    mount --bind "$1/$name" "/var/lib/$name"
done

# The kubelet sets these for the whole machine, which is not ours: it writes into copies.
for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys \
    kernel/keys/root_maxbytes; do
    copy=/run/sysctl/$name
    mkdir -p "${copy%/*}"
    cat "/proc/sys/$name" > "$copy"
    mount --bind "$copy" "/proc/sys/$name"
done

ip link set lo up
ip address add "$2/32" dev lo
echo 1 > /proc/sys/net/ipv4/ip_forward
