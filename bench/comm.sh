#!/usr/bin/env bash
# Our all_reduce of f32 beside MPI_Allreduce on the ranks of this machine, in turns: medians, ratio.
#   bench/comm.sh [MB] [RANKS] [TURNS]       256 MB, 2 ranks, 5 turns of 7 rounds each
# Builds build-bench/bench/comm_bench first where it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
megabytes=${1:-256} ranks=${2:-2} turns=${3:-5}
program=${AUTARKY_COMM_BENCH:-build-bench/bench/comm_bench}
if [ ! -x "$program" ]; then
  cmake -S . -B build-bench -G Ninja -DCMAKE_BUILD_TYPE=Release -DAUTARKY_BENCH=ON -DAUTARKY_TESTS=OFF >/dev/null
  cmake --build build-bench --target comm_bench >/dev/null
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

median_of() { mpirun --bind-to none --oversubscribe -n "$ranks" "$program" "$1" "$megabytes" 7; }
middle() { printf '%s\n' "$@" | sort -g | sed -n "$((($# + 1) / 2))p"; }

ours=() mpi=()
for ((turn = 0; turn < turns; turn++)); do
  ours+=("$(median_of ours)")
  mpi+=("$(median_of mpi)")
done
a=$(middle "${ours[@]}") b=$(middle "${mpi[@]}")
echo "all_reduce of $megabytes MB f32 on $ranks ranks: ours $a s (${ours[*]}), MPI_Allreduce $b s (${mpi[*]})"
awk -v a="$a" -v b="$b" 'BEGIN { printf "MPI / ours: %.2f\n", b / a }'
