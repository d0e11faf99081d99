"""Rules of privacy manifests, and which functions of Apple's systems need a reason.

Source: "Describing use of required reason API" and "Privacy manifest files" of Apple's documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgeort.lint.rule import Rule, listed
from edgeort.lint.subjects import Framework, PrivacyManifest, Slice, XcFramework

_CATEGORY = "NSPrivacyAccessedAPICategory"
_ATTRIBUTES = ("getattrlist", "fgetattrlist", "getattrlistat")
# Category -> names that a Mach-O file asks the system for. Selectors are not here: an app's own may be the same.
REASONS: dict[str, tuple[str, ...]] = {
    f"{_CATEGORY}FileTimestamp": (
        "stat", "fstat", "fstatat", "lstat", "getattrlistbulk", *_ATTRIBUTES,
        "NSFileCreationDate", "NSFileModificationDate", "NSURLContentModificationDateKey", "NSURLCreationDateKey",
    ),
    f"{_CATEGORY}SystemBootTime": ("mach_absolute_time",),
    f"{_CATEGORY}DiskSpace": (
        "statfs", "statvfs", "fstatfs", "fstatvfs", *_ATTRIBUTES, "NSFileSystemFreeSize", "NSFileSystemSize",
        "NSURLVolumeAvailableCapacityKey", "NSURLVolumeAvailableCapacityForImportantUsageKey",
        "NSURLVolumeAvailableCapacityForOpportunisticUsageKey", "NSURLVolumeTotalCapacityKey",
    ),
    f"{_CATEGORY}UserDefaults": ("OBJC_CLASS_$_NSUserDefaults",),
    f"{_CATEGORY}ActiveKeyboards": (),
}  # fmt: skip
_KEYS = {"NSPrivacyTracking", "NSPrivacyTrackingDomains", "NSPrivacyCollectedDataTypes", "NSPrivacyAccessedAPITypes"}
_EXEMPT = {"macos", "maccatalyst"}  # asked of iOS, iPadOS, tvOS, visionOS and watchOS


def undeclared(slices: Iterable[Slice], declared: frozenset[str] | None) -> Iterator[str]:
    """A sentence for each category of which functions are used and no reason is given."""
    used = {name.split("$INODE64")[0] for one in slices if not one.platforms & _EXEMPT for name in one.undefined}
    for category, names in REASONS.items():
        found = used & set(names)
        # getattrlist and its like are in two categories; a reason in either will do.
        elsewhere = {name for other in declared or () for name in REASONS.get(other, ())}
        if found - elsewhere:
            yield f"it uses {listed(found - elsewhere)} and gives no reason of {category}"


def _framework(framework: Framework) -> Iterator[str]:
    yield from undeclared(framework.slices, framework.declared)


def _xcframework(framework: XcFramework) -> Iterator[str]:
    for library in framework.libraries:
        if not library.path.endswith(".framework"):  # those are judged by themselves
            for sentence in undeclared(library.slices, library.declared):
                yield f"{library.identifier}: {sentence}"


def _content(manifest: PrivacyManifest) -> Iterator[str]:
    content = manifest.content
    unknown = [key for key in content if key not in _KEYS]
    if unknown:
        yield f"it has keys that no privacy manifest has: {listed(map(str, unknown))}"
    if content.get("NSPrivacyTracking") is True and not content.get("NSPrivacyTrackingDomains"):
        yield "it says NSPrivacyTracking and names no NSPrivacyTrackingDomains"
    entries = content.get("NSPrivacyAccessedAPITypes", [])
    if not isinstance(entries, list):
        yield "its NSPrivacyAccessedAPITypes is no array"
        return
    for entry in entries:
        kind = entry.get("NSPrivacyAccessedAPIType") if isinstance(entry, dict) else None
        if kind not in REASONS:
            yield f"its NSPrivacyAccessedAPITypes have '{kind}', which is no category"
        elif not entry.get("NSPrivacyAccessedAPITypeReasons"):
            yield f"it gives no reasons (NSPrivacyAccessedAPITypeReasons) of {kind}"


_WHY = (
    "The App Store refuses apps that use these functions without a reason in a privacy manifest "
    "(ITMS-91053, since May 2024)."
)
_REMEDY = (
    "add PrivacyInfo.xcprivacy with NSPrivacyAccessedAPITypes: the category, and the codes of the reasons that hold"
)

PRIVACY: tuple[Rule[PrivacyManifest], ...] = (
    Rule(
        "privacy-manifest",
        "error",
        "The App Store refuses privacy manifests with unknown keys or values (ITMS-91056).",
        "keep to NSPrivacyTracking, NSPrivacyTrackingDomains, NSPrivacyCollectedDataTypes and "
        "NSPrivacyAccessedAPITypes",
        _content,
    ),
)
PRIVACY_OF_FRAMEWORKS: tuple[Rule[Framework], ...] = (Rule("privacy-reasons", "error", _WHY, _REMEDY, _framework),)
PRIVACY_OF_XCFRAMEWORKS: tuple[Rule[XcFramework], ...] = (
    Rule(
        "privacy-reasons-static",
        "warning",
        f"{_WHY} Code of a static library counts as the app's.",
        f"{_REMEDY}; beside a static library it must be copied into the app's bundle",
        _xcframework,
    ),
)
