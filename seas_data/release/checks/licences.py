"""Check ``licences``: the release can be licensed."""

from seas_data.release import licences
from seas_data.release.checks.check import Candidate, Check, Finding, finding


def find_licence_faults(candidate: Candidate) -> Finding:
    """Find the sources and models that leave the release without a licence."""
    outcome = licences.derive_licence(candidate.version, candidate.profile)
    names = [name for _, at_fault in outcome.faults for name in at_fault]
    passed = f"the release is licensed under {outcome.licence.id}" if outcome.licence else ""
    return finding(names, passed=passed, failed="; ".join(message for message, _ in outcome.faults))


CHECK = Check(
    "The licences of all sources, writing models and judges are known and permit one licence for the release.",
    find_licence_faults,
    position=80,
)
