"""What tests of planted errors share: a wrong function in place of a right one, and the verdict."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dora_theory.claims import claims
from dora_theory.claims.check.verifying import verify

CLAIMS = {claim.name: claim for claim in claims()}
Function = Callable[..., Any]
# Where a function lives, its name, what makes it wrong, and the claim that must see it.
Planted = tuple[Any, str, Callable[[Any], Any], str, str]


def planted(errors: list[Planted]) -> Any:
    """Parametrizes `sees` over errors."""
    names = ("home", "name", "wrong", "id_", "claim")
    ids = [f"{id_}-{wrong.__name__}" for _, _, wrong, id_, _ in errors]
    return pytest.mark.parametrize(names, errors, ids=ids)


def sees(
    monkeypatch: pytest.MonkeyPatch,
    home: Any,
    name: str,
    wrong: Callable[[Any], Any],
    id_: str,
    claim: str,
) -> None:
    """Asserts that `verify` says something else than expected of the claim."""
    monkeypatch.setattr(home, name, wrong(getattr(home, name)))
    [found] = verify([replace(CLAIMS[claim], min_instances=128)], instances=128, workers=1)
    assert found.claim.id == id_
    assert not found.as_expected
    assert found.violations > 0
