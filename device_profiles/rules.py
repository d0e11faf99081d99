"""What the keys of a profile must keep between themselves; each rule yields (key, problem, allowed) of every breach."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edgeort.device_profiles.profile import ISA_LEVELS, OS_ARCHS, PROVIDER_OSES, Profile
from edgeort.device_profiles.schema import Where

Breach = tuple[str, str, str]


def arch_fits_os(profile: Profile) -> Iterator[Breach]:
    """The toolchain can compile for the pair."""
    target = profile.target
    if target.arch not in OS_ARCHS[target.os]:
        yield "target.arch", f"'{target.arch}' does not exist on {target.os}", ", ".join(OS_ARCHS[target.os])


def glibc_is_linux(profile: Profile) -> Iterator[Breach]:
    """Only Linux has a glibc."""
    if profile.target.glibc is not None and profile.target.os != "linux":
        yield "target.glibc", f"there is no glibc on {profile.target.os}", "no such key unless target.os is linux"


def isa_fits_arch(profile: Profile) -> Iterator[Breach]:
    """Every ISA level belongs to the architecture, and the level it stands on is listed too."""
    arch, isa = profile.target.arch, profile.cpu.isa
    for index, level in enumerate(isa):
        key = f"cpu.isa[{index}]"
        if level not in ISA_LEVELS[arch]:
            yield key, f"'{level}' does not exist on {arch}", ", ".join(ISA_LEVELS[arch])
            continue
        base = ISA_LEVELS[arch][level]
        if base is not None and base not in isa:
            yield key, f"'{level}' stands on '{base}', which is not listed", f"a list with '{base}' too"


def clusters_fastest_first(profile: Profile) -> Iterator[Breach]:
    """The first cluster is the one that a few threads should run on."""
    clusters = profile.cpu.clusters
    for index in range(1, len(clusters)):
        limit = clusters[index - 1].mhz
        if clusters[index].mhz > limit:
            yield f"cpu.cluster[{index}].mhz", "faster than the cluster before it", f"at most {limit}: fastest first"


def threads_fit_cores(profile: Profile) -> Iterator[Breach]:
    """A core runs at most one thread of the pool."""
    cores = profile.cpu.cores
    if profile.runtime.threads > cores:
        yield "runtime.threads", f"{profile.runtime.threads} is more than the {cores} cores", f"1 to {cores}"


def providers_exist(profile: Profile) -> Iterator[Breach]:
    """Every provider exists on the operating system."""
    os = profile.target.os
    for index, provider in enumerate(profile.runtime.providers):
        if os not in PROVIDER_OSES[provider]:
            known = ", ".join(name for name, oses in PROVIDER_OSES.items() if os in oses)
            yield f"runtime.providers[{index}]", f"'{provider}' does not exist on {os}", known


RULES: tuple[Callable[[Profile], Iterator[Breach]], ...] = (
    arch_fits_os,
    glibc_is_linux,
    isa_fits_arch,
    clusters_fastest_first,
    threads_fit_cores,
    providers_exist,
)


def check(profile: Profile, where: Where) -> None:
    """Raises ProfileError for the first breach."""
    for rule in RULES:
        for key, problem, allowed in rule(profile):
            where.at(key).fail(problem, allowed)
