#!/bin/bash
# A sharded run on Slurm: an array of shards, then the merge.
#
#   sbatch docs/slurm_array.sh                       # 64 shards; CODECS, CORPUS, OUT from the environment
#   sbatch --array=3,17 docs/slurm_array.sh          # the shards that failed, again: what they have done is kept
#   sbatch --array=1-64 --dependency=singleton …     # a longer queue for the same name waits for this one
#
# Every job writes a folder of its own and a store that all share. A job that is killed or runs out of time loses
# seconds of work: submit it again.
#SBATCH --job-name=codecbench
#SBATCH --array=1-64
#SBATCH --nodes=1
#SBATCH --cpus-per-task=32
#SBATCH --mem=64G
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --signal=INT@60
#SBATCH --output=%x-%A-%a.log
set -euo pipefail

OUT=${OUT:-runs/big}
SHARDS=${SHARDS:-64}

if [[ ${1:-} == merge ]]; then
    # sbatch --dependency=afterok:JOB --array=1 docs/slurm_array.sh merge
    exec codecbench merge "$OUT/merged" "$OUT"/shard-*
fi

# On nodes with a GPU: --device cuda, and --gres=gpu:1 above.
exec codecbench run \
    --codecs "${CODECS:-mimi,lmspt,opus:12kbps}" \
    --corpus "${CORPUS:?a manifest or a folder}" \
    --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" \
    --out "$OUT/shard-$SLURM_ARRAY_TASK_ID" \
    --store "$OUT/store" \
    --workers "$SLURM_CPUS_PER_TASK" \
    --no-audio
