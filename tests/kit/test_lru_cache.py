from app.kit.lru_cache import LruCache


def test_the_least_recently_used_pair_is_evicted() -> None:
    cache: LruCache[str, int] = LruCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.find("a") == 1
    cache.put("c", 3)
    assert (cache.find("a"), cache.find("b"), cache.find("c")) == (1, None, 3)
    assert len(cache) == 2


def test_a_discarded_pair_is_gone() -> None:
    cache: LruCache[str, int] = LruCache(2)
    cache.put("a", 1)
    cache.discard("a")
    cache.discard("never there")
    assert cache.find("a") is None
