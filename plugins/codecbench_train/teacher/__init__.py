"""Frozen ASR encoders that judge what speech a semantic token stream still carries."""

from codecbench_train.teacher.base import SAMPLES_PER_TEACHER_FRAME, Teacher, load_teacher

__all__ = ["SAMPLES_PER_TEACHER_FRAME", "Teacher", "load_teacher"]
