# Runs inside the new namespaces and becomes the command that follows.
set -eu
hostname '@HOST@'
mount --bind '@DIR@/hosts' /etc/hosts
mount --bind '@DIR@/nsswitch.conf' /etc/nsswitch.conf
# a /dev with a log and the devices that a daemon opens
for device in null zero full random urandom; do
  : >'@DIR@'/dev/$device
  mount --bind /dev/$device '@DIR@'/dev/$device
done
mount --rbind '@DIR@/dev' /dev
exec "$@"
