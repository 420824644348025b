"""Lists to start from, one a language: what nearly every shop keeps out. A merchant switches each on or off and adds
her own; nothing here is in force until she does. Mild on purpose: a list that hides innocent lines is worse than one
that misses some, because nobody complains about what nobody saw.
"""

from typing import Literal

StarterList = Literal["en", "fr", "zh"]

STARTERS: dict[StarterList, tuple[str, ...]] = {
    "en": (
        "fuck*", "motherfuck*", "shit", "shitty", "bullshit", "bitch", "bitches", "asshole", "cunt", "slut", "sluts",
        "whore", "whores", "bastard", "dickhead", "wanker", "retard", "retarded", "faggot*", "nigger*", "kill yourself",
        "kys", "replica bags", "add me on whatsapp", "dm me for cheap", "onlyfans", "casino", "free followers",
        "crypto giveaway", "double your money",
    ),
    "fr": (
        "merde", "putain", "pute", "putes", "salope", "salopes", "connard*", "connasse*", "enculé*", "encule",
        "enfoiré*", "fils de pute", "ntm", "nique", "niquer", "ta gueule", "bougnoule*", "négro*", "youpin*", "pédé",
        "pédés", "tapette", "va mourir", "suicide toi", "contrefaçon*", "ajoute moi sur whatsapp",
        "double ton argent",
    ),
    "zh": (
        "傻逼", "傻屄", "煞笔", "操你", "草泥马", "他妈的", "你妈逼", "妈逼", "婊子", "贱人", "贱货", "王八蛋",
        "狗娘养", "脑残", "智障", "去死吧", "滚蛋", "妓女", "约炮", "裸聊", "加微信", "加微", "加v", "加vx", "威信号",
        "薇信", "私聊我", "高仿", "a货", "假货批发", "刷单", "赌博", "博彩", "贷款秒批", "代开发票", "兼职日结",
    ),
}  # fmt: skip
