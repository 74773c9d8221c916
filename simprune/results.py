"""Results as they are read: what the data at hand have to do with them."""

from os import PathLike

from simprune import data
from simprune.errors import InputError
from simprune.store import Store


def fingerprint_at_hand(dataset: str, store: Store, root: str | PathLike | None = None) -> str | None:
    """The fingerprint of a dataset's images in the data root; None if they are not there.

    Images are decoded once (CIFAR-10: 11 s); the store remembers the fingerprint of files with the same content.
    """
    try:
        state = data.state_of_files(dataset, root)
        known = store.fingerprint(state)
        if known is None:
            known = data.load(dataset, root).fingerprint
            store.remember_fingerprint(state, known)
    except (InputError, OSError):  # no data, or a store that may only be read
        return None
    return known


def other_data(results, *, store: str | PathLike | None = None, root: str | PathLike | None = None) -> str | None:
    """The fingerprint of the data at hand where it is not that of the results; None where it is or none are here."""
    at_hand = fingerprint_at_hand(results.experiment.dataset, Store(store), root)
    return None if at_hand == results.provenance["data"]["fingerprint"] else at_hand
