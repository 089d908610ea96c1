import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.corpus import text as corpus_text
from selfsup.corpus.text import guess_language, split_sentences

# Each text as it should come out: sentences separated by "|".
ENGLISH = [
    "Dr. Smith paid $3.50 to Mrs. Jones. |He left at 5 p.m. yesterday.",
    "J. R. R. Tolkien wrote it. |The U.S. army left, e.g. in 1990. |In 1991 it came back.",
    '"Why?" she asked. |"I don\'t know." |He said nothing.',
    "He said “Stop.” |Then he left! |Really?! |Yes... |Well.",
    "See Fig. 3 and p. 10, by Gen. Lee et al. in Jan. 1863. |Version 1.2.3 is out.",
    "Visit www.example.com or write to a.b@example.org today. |Thanks.",
    "The end.|Next sentence begins without a space.",
]
KOREAN = [
    "안녕하세요. |저는 학생입니다. |오늘 기온은 3.5도입니다.",
    "밥을 먹었어요.|맛있었어요!|정말요?|네.",
    "그는 갔다.|그리고 왔다.|다시 갔습니다.|왜요?",
    "그는 “나는 간다.”라고 말했다. |그리고 떠났다.",
    '그는 "정말이야?"라며 웃었다. |나는 "응."이라고 했다.',
    "“가자.” |그가 말했다. |“싫어!”라고 그녀가 답했다.",
    "그게 뭐야?라고 물었다. |네!라고 답했다.",
    "그는 2015. 3. 4. 서울에서 태어났다. |2020년에 죽었다.",
    "1. 첫째 항목이다. |2. 둘째 항목이다.",
    "J. K. 롤링은 작가다. |Dr. 김은 No. 3 선수와 U.S. 군대를 보았다.",
    "가격은 3,500.50원이다. |3.1 운동은 1919년에 일어났다.",
    "『홍길동전.』 이라는 책이다. |‘간다.’는 말이다.",
    "그것은 사실이다(출처: 신문). |그러나 틀렸다.",
    "정말 좋아요~! |감사합니다… 또 올게요!",
]


@pytest.mark.parametrize("marked", ENGLISH)
def test_english_sentences(marked):
    assert split_sentences(marked.replace("|", ""), "en") == marked.split("|")


@pytest.mark.parametrize("marked", KOREAN)
def test_korean_sentences(marked):
    assert split_sentences(marked.replace("|", ""), "ko") == marked.split("|")


@pytest.mark.parametrize(
    ("language", "marked"),
    [
        ("ja", "今日は晴れです。|明日は雨でしょう！|彼は「はい。」と言った。|本当？"),
        ("zh", "你好。|我是学生！|“好。”他说。|你呢？"),
    ],
)
def test_japanese_and_chinese_sentences(language, marked):
    assert split_sentences(marked.replace("|", ""), language) == marked.split("|")


def test_many_numbers_in_a_row_are_joined_in_no_time():
    paragraph = "1. " * 20_000 + "끝이다."  # half a minute, when all was searched for each
    assert split_sentences(paragraph, "ko") == [paragraph]


@pytest.mark.parametrize("language", ["ja", "zh"])
def test_a_long_paragraph_is_split_in_parts_as_it_would_be_whole(language, monkeypatch):
    expected = ["今日は晴れです。", "彼は「はい。」と言った。", "“好！”他说。", "本当！？ "] * 600
    segment, lengths = corpus_text.sentencex.segment, []  # type: ignore[attr-defined]

    def measured(language: str, text: str) -> list[str]:
        lengths.append(len(text))
        return segment(language, text)

    monkeypatch.setattr(corpus_text.sentencex, "segment", measured)
    assert split_sentences("".join(expected), language) == expected
    assert max(lengths) < 5000  # sentencex takes time with the square of it


def test_a_long_paragraph_without_an_end_of_a_sentence_stays_whole():
    assert split_sentences("没有句号" * 5000, "zh") == ["没有句号" * 5000]


@given(st.text(), st.sampled_from(["en", "ko", "ja", "zh", "ru", "xx"]))
def test_nothing_is_lost_between_sentences(text, language):
    paragraph = " ".join(text.split())
    assert "".join(split_sentences(paragraph, language)) == paragraph


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The quick brown fox.", "en"),
        ("Le cœur a ses raisons que la raison ne connaît point.", "en"),
        ("그는 학교에 갔다.", "ko"),
        ("LG전자는 TV를 만든다. LG OLED TV.", "ko"),
        ("大韓民國(대한민국)은 동아시아의 나라이다.", "ko"),
        ("東京は日本の首都です。", "ja"),
        ("北京是中国的首都。", "zh"),
        ("Москва — столица России.", "ru"),
        ("القاهرة هي عاصمة مصر", "ar"),
        ("The Korean word 한글 means the alphabet, as everybody knows by now.", "en"),
        ("", "en"),
        ("12345 !!!", "en"),
    ],
)
def test_the_language_is_guessed_from_the_script(text, language):
    assert guess_language(text) == language
