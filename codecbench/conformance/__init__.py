"""The conformance kit: holds a codec to the plugin contract, as ``codecbench check`` and as pytest tests."""

from codecbench.conformance.checking import PROPERTIES, Examination, check
from codecbench.conformance.properties import Finding, Property, Verdict
from codecbench.conformance.subject import Subject, subject_by_name, subject_of
from codecbench.conformance.testing import conformance_tests, settle

__all__ = [
    "PROPERTIES",
    "Examination",
    "Finding",
    "Property",
    "Subject",
    "Verdict",
    "check",
    "conformance_tests",
    "settle",
    "subject_by_name",
    "subject_of",
]
