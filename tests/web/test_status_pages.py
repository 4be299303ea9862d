"""What statuses mean, where every label of a status leads."""

from collections.abc import Callable

from app.domain.api_key import Scope
from app.domain.campaign import Submission
from app.domain.explained_words import EFFECTS
from app.domain.explanations import OVERDUE, REASONS, STATUSES
from tests.web.conftest import Browser, words_of

_Browsers = Callable[..., Browser]


def test_every_status_and_reason_is_explained_at_its_anchor(browser: _Browsers) -> None:
    page = browser(Scope.READ).page("/ui/statuses")
    words = words_of(page)
    for word, status in STATUSES.items():
        assert page.count(f'id="{word}"') == 1
        assert status.text in words
        assert (status.action or "") in words
    texts = [word.text for word in (*REASONS.values(), OVERDUE)]
    texts += [effect.text for effect in EFFECTS.values()]
    assert not [text for text in texts if text not in words]
    for submission in Submission:
        assert page.count(f'id="{submission}"') == 1


def test_each_anchor_is_there_once(browser: _Browsers) -> None:
    page = browser(Scope.READ).page("/ui/statuses")
    anchors = [part.split('"')[0] for part in page.split(' id="')[1:]]
    assert len(set(anchors)) == len(anchors)


def test_reasons_lead_to_their_messages(browser: _Browsers) -> None:
    page = browser(Scope.READ).page("/ui/statuses")
    assert 'href="/ui/messages?reason=Not+Viber+User"' in page
