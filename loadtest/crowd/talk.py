"""What a crowd says: short lines and questions in English, French and Chinese, put together from parts.

What arrives: a seeded generator of numbers and a language. What leaves: a line. Each language has tens of thousands of
them, because a room that hears the same letters from many people at once takes it for a flood and holds it back, and a
load test of a moderator's queue is a different test. No names, no links, nothing a filter is meant to catch.
"""

import random
from typing import Literal, get_args

Language = Literal["en", "fr", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
# Room for the planned moment that a load test writes behind a line, within the 500 characters of one line.
LINE_CHARACTERS_MAX = 160

Parts = tuple[tuple[str, ...], ...]


def _of(words: str) -> tuple[str, ...]:
    """The words of a list that is written with slashes between them; an empty one stands for nothing said."""
    return tuple(words.split(" / "))


_THINGS_EN = _of(
    "Rosewood / Fig / Terracotta / the serum / the cleanser / the night oil / the travel size / the set / "
    "the lip colour / the brush / the sample / the gift box / the candle / the hand cream / the refill / the mist"
)

_THINGS_FR = _of(
    "le bois de rose / la figue / la terre cuite / le sérum / le démaquillant / l'huile de nuit / "
    "le format voyage / le coffret / le rouge à lèvres / le pinceau / l'échantillon / la boîte cadeau / "
    "la bougie / la crème mains / la recharge / la brume"
)

_THINGS_ZH = _of(
    "玫瑰木色 / 无花果色 / 陶土色 / 精华 / 洁面乳 / 夜间护理油 / 旅行装 / 套装 / 唇膏 / 化妆刷 / 小样 / 礼盒 / "
    "香薰蜡烛 / 护手霜 / 补充装 / 喷雾"
)

_LINES: dict[Language, Parts] = {
    "en": (
        _of(
            "hi all, / oh wow, / finally, / honestly, / ok so / yes please, / wait, / good evening, / love it, / "
            "same here, / first time here, / back again, / hello from the train, / just joined, / so happy, / hmm,"
        ),
        _THINGS_EN,
        _of(
            "looks better than I thought / is my favourite already / would suit my sister / was gone last time / "
            "smells amazing / is the one I came for / lasts all day on me / is worth it / looks warmer on screen / "
            "makes a great present / is on my list / needs to come back / got me through winter / feels so light / "
            "is a yes from me / surprised me"
        ),
        _of(
            " / tonight / 😍 / 👍 / for sure / I think / 🙌 / no doubt / really / again / this time / haha / 💛 / "
            "in this light / at that price / right now"
        ),
    ),
    "fr": (
        _of(
            "bonsoir, / oh là là, / enfin, / franchement, / alors, / oui, / attendez, / coucou, / j'adore, / "
            "pareil, / première fois ici, / de retour, / depuis le train, / j'arrive, / contente, / hmm,"
        ),
        _THINGS_FR,
        _of(
            "me plaît beaucoup / est déjà ma préférence / irait bien à ma sœur / "
            "était vite parti la dernière fois / sent divinement bon / c'est pour ça que je suis là / "
            "tient toute la journée / vaut le prix / paraît plus chaud à l'écran / fera un beau cadeau / "
            "est sur ma liste / doit revenir / m'a sauvé l'hiver / reste si léger / je dis oui / m'a surprise"
        ),
        _of(
            " / ce soir / 😍 / 👍 / c'est sûr / je crois / 🙌 / sans hésiter / vraiment / encore / cette fois / "
            "haha / 💛 / avec cette lumière / à ce prix / tout de suite"
        ),
    ),
    "zh": (
        _of(
            "大家好， / 哇， / 终于等到了， / 说实话， / 那个， / 要要要， / 等一下， / 晚上好， / 太喜欢了， / "
            "我也是， / 第一次来， / 又来了， / 地铁上看， / 刚进来， / 好开心， / 嗯，"
        ),
        _THINGS_ZH,
        _of(
            "比想象的好看 / 已经是我的最爱 / 很适合我妹妹 / 上次没抢到 / 味道真好闻 / 我就是为它来的 / "
            "一整天都在 / 很值 / 屏幕上看更暖 / 送人很合适 / 在我的清单上 / 一定要返场 / 陪我过了冬天 / "
            "真的很轻薄 / 必须支持 / 有惊喜"
        ),
        _of(
            " / 今晚 / 😍 / 👍 / 肯定的 / 我觉得 / 🙌 / 没错 / 真的 / 再来一次 / 这次 / 哈哈 / 💛 / 这个光线下 / "
            "这个价格 / 就现在"
        ),
    ),
}

_QUESTIONS: dict[Language, Parts] = {
    "en": (
        _of(
            "does / quick question: does / sorry if asked before, does / can you say, does / host, does / "
            "for later: does / one more: does / curious, does"
        ),
        _THINGS_EN,
        _of(
            "suit very dry skin / come in a smaller size / go with olive skin / last through dinner / "
            "contain perfume / go under make-up / keep for a year once open / come with a refill / "
            "stain a white collar / work for sensitive eyes / ship with the set / feel sticky"
        ),
        _of("? / , please? /  at all? /  or not? /  in your experience? /  🙏?"),
    ),
    "fr": (
        _of(
            "est-ce que / petite question : est-ce que / désolée si déjà dit, est-ce que / dites-moi si / "
            "bonsoir, est-ce que / pour plus tard, est-ce que / encore une : est-ce que / par curiosité, est-ce que"
        ),
        _THINGS_FR,
        _of(
            "convient aux peaux très sèches / existe en plus petit / va aux peaux mates / tient pendant un dîner / "
            "contient du parfum / se met sous le maquillage / se garde un an / existe en recharge / "
            "tache un col blanc / convient aux yeux sensibles / part avec le coffret / colle un peu"
        ),
        _of(" ? / , s'il vous plaît ? /  ou pas ? /  d'après vous ? /  en vrai ? /  🙏 ?"),
    ),
    "zh": (
        _of("请问 / 想问一下， / 可能问过了， / 麻烦说说 / 主播， / 晚点也行， / 再问一个， / 好奇问下，"),
        _THINGS_ZH,
        _of(
            "适合很干的皮肤 / 有小一点的规格 / 适合偏黄的肤色 / 吃饭会掉 / 含香精 / 能打底用 / 开封后能放一年 / "
            "有补充装 / 会沾白领子 / 敏感眼睛能用 / 能和套装一起发 / 会黏"
        ),
        _of("吗？ / 么？ / 吗，谢谢？ / 还是不行？ / 吗？🙏 / 呢？"),
    ),
}


def line_of_chat(rng: random.Random, language: Language = "en") -> str:
    """A line that anybody in the room might say."""
    return _put_together(rng, _LINES[language], " " if language != "zh" else "")


def question(rng: random.Random, language: Language = "en") -> str:
    """A question for the queue; it ends in a question mark."""
    *words, end = (rng.choice(part) for part in _QUESTIONS[language])
    return ("" if language == "zh" else " ").join(words) + end


def lines_there_are(language: Language) -> int:
    """How many different lines of chat there are."""
    return _product(_LINES[language])


def _put_together(rng: random.Random, parts: Parts, between: str) -> str:
    return between.join(word for word in (rng.choice(part) for part in parts) if word)


def _product(parts: Parts) -> int:
    total = 1
    for part in parts:
        total *= len(set(part))
    return total
