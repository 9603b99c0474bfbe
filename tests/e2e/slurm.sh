#!/usr/bin/env bash
# A Slurm of one machine, on loopback, in a folder of its own: runs a command in it, then ends it.
#   tests/e2e/slurm.sh FOLDER COMMAND...
# Needs slurmctld, slurmd, slurm-client and munge, and to be root (slurmd refuses others).
set -euo pipefail
folder=$(cd "$1" && pwd)/slurm
shift
PATH=$PATH:/usr/sbin
host=$(hostname -s)
# A port that no other run of this script has at the same time.
port=$((20000 + $$ % 20000 / 2 * 2))
mkdir -p "$folder"/{state,spool,run,log}
head -c 1024 /dev/urandom >"$folder/key"
chmod 400 "$folder/key"
export SLURM_CONF=$folder/slurm.conf
cat >"$SLURM_CONF" <<END
ClusterName=autarky
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=pmix
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=5
MinJobAge=3600
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END

end() {
  for daemon in slurmd slurmctld munged; do
    [ -s "$folder/run/$daemon.pid" ] || continue
    pid=$(cat "$folder/run/$daemon.pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  done
}
trap end EXIT

munged --force --socket="$folder/run/munge.socket" --key-file="$folder/key" \
  --pid-file="$folder/run/munged.pid" --log-file="$folder/log/munged.log" \
  --seed-file="$folder/run/munged.seed" 2>"$folder/log/munged.err"
slurmctld -c
slurmd -N "$host"
for try in $(seq 100); do
  [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && break
  [ "$try" -lt 100 ] || { cat "$folder"/log/*.log >&2; echo "slurm.sh: no idle node" >&2; exit 1; }
  sleep 0.2
done
"$@"
