"""What page and director tell each other comes back whole from Redis; a crowd's progress is told in words."""

from redis.asyncio import Redis

from livecommerce.demo.board import Board, Buyers, Wish, next_wish, read_board, wish, write_board
from livecommerce.demo.buyers import Progress
from livecommerce.demo.crowd import told


async def test_before_the_director_wrote_the_board_is_empty_and_says_preparing(redis: Redis) -> None:
    assert await read_board(redis) == Board()
    assert Board().phase == "preparing"


async def test_a_board_comes_back_whole(redis: Redis) -> None:
    board = Board("shw_1", "sum", 5, 6, 24, 61, 7, 17, 0, 1, 12, Buyers("over", 500, 500, 500, 50, 450, 0, 40))
    await write_board(redis, board)
    assert await read_board(redis) == board


async def test_wishes_are_granted_in_order_and_a_director_who_was_away_meets_only_the_latest(redis: Redis) -> None:
    for number in range(60):
        await wish(redis, Wish("buyers", count=number))
    granted = [await next_wish(redis, 0.01) for _ in range(50)]
    assert [one.count for one in granted if one] == list(range(10, 60))
    assert await next_wish(redis, 0.01) is None


def test_a_crowd_joins_then_taps_then_is_over() -> None:
    assert told(Progress(500, joined=100), 50).phase == "joining"
    assert told(Progress(500, 500, 0), 50).phase == "tapping"
    assert told(Progress(500, 500, 25, 25, 0), 50).running
    over = told(Progress(500, 500, 500, 50, 450, 31), 50)
    assert (over.phase, over.running, over.oversold, over.slowest_ms) == ("over", False, 0, 31)


def test_more_held_than_there_were_is_told() -> None:
    assert told(Progress(500, 500, 500, 52, 448), 50).oversold == 2
