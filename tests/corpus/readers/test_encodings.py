"""Text that is not UTF-8: which encoding is named for it, and reading it with --encoding."""

import gzip
import io

import pytest

from selfsup.corpus.readers.encodings import likely_encodings, utf8_text
from selfsup.corpus.readers.sources import read_documents
from selfsup.errors import UserError
from selfsup.settings.reading import FileFormat

# A few short rows each, as a beginner's first file has them.
TEXTS = {
    "cp949": [
        "label,text\n좋음,국물이 따뜻했다.\n나쁨,한 시간을 기다렸다.\n",
        "라벨;리뷰\n긍정;음식이 맛있었어요\n부정;너무 짜요\n긍정;직원이 친절함\n부정;별로예요\n",
        "진단,소견\n정상,흉부 방사선 사진상 특이 소견 없음\n이상,우측 폐 하엽에 결절이 관찰됨\n",
        "a,b\n좋음,굿\n",
    ],
    "cp932": [
        "ラベル,本文\n良い,スープが温かかった\n悪い,一時間も待たされた\n",
        "分類,本文\n良,料理美味\n悪,接客最悪\n",
    ],
    "euc_jp": ["ラベル,本文\n良い,スープが温かかった\n悪い,一時間も待たされた\n"],
    "gb18030": [
        "标签,文本\n好,汤很热\n差,我们等了一个小时\n好,服务员很热情\n",
        "类别,内容\n正面,味道不错\n负面,价格太贵\n",
    ],
    "big5": ["標籤,文本\n好,湯很熱\n差,我們等了一個小時\n好,服務員很熱情\n"],
    "cp1252": [
        "label,texte\nbon,Le café était très chaud\nmauvais,Trop salé et déjà froid\n",
        "label,text\ngood,A nice café\nbad,Too dear\n",
        "label,text\ngut,Das Essen war köstlich für uns\nschlecht,Viel zu süß und spät\n",
        "label,text\nbueno,La comida muy rica, ¡qué día!\nmalo,Mañana no volveré jamás\n",
        "label,text\nbom,A refeição não estava má\nmau,Não volto lá\n",
        "label,text\nbra,Maten var jättegod\ndålig,Vi väntade för länge\n",
        "label,text\ngood,It’s “great” – really\nbad,Don’t go\n",
    ],
    "cp1250": [
        "label,text\ndobry,Zupa była ciepła i świeża\nzły,Czekaliśmy godzinę na stolik\n",
        "label,text\ndobré,Polévka byla teplá a čerstvá\nšpatné,Čekali jsme příliš dlouho\n",
        "label,text\nbun,Supa a fost caldă şi bună\nrău,Am aşteptat prea mult în faţă\n",
    ],
    "iso8859_2": ["label,text\ndobry,Zupa była ciepła i świeża\nzły,Czekaliśmy na stolik, ładna\n"],
    "cp1251": [
        "метка,текст\nхорошо,Суп был горячий\nплохо,Мы ждали целый час\n",
        "label,text\ngood,Вкусно\nbad,Плохо\n",
        "label,text\nдобре,Суп був гарячий і смачний\nпогано,Їжа холодна, ми чекали\n",
    ],
    "cp866": ["метка,текст\nхорошо,Суп был горячий\nплохо,Мы ждали целый час\n"],
    "cp1253": ["label,text\nκαλό,Η σούπα ήταν ζεστή\nκακό,Περιμέναμε μία ώρα\n"],
    "cp1254": ["label,text\niyi,Çorba sıcak ve çok güzeldi\nkötü,Yer değişti, şaşırdık\n"],
    "cp1256": ["label,text\nجيد,الحساء كان ساخنا جدا\nسيئ,انتظرنا ساعة كاملة\n"],
    "cp874": ["label,text\nดี,อาหารอร่อยมาก\nแย่,เรารอนานหนึ่งชั่วโมง\n"],
    "mac_roman": ["label,texte\nbon,Le café était très chaud\nmauvais,Trop salé et déjà froid\n"],
    # These are alike to two languages, so that both are named.
    "cp1255": ["label,text\nטוב,המרק היה חם מאוד\nרע,חיכינו שעה שלמה\n"],
    "koi8_r": ["метка,текст\nхорошо,Суп был горячий\nплохо,Мы ждали целый час\n"],
}
AMBIGUOUS = ("cp1255", "koi8_r")
CASES = [(encoding, text) for encoding, texts in TEXTS.items() for text in texts]


@pytest.mark.parametrize(("encoding", "text"), CASES)
def test_the_encoding_of_a_small_file_is_named(encoding, text):
    found = likely_encodings(text.encode(encoding))
    assert found[0].encoding == encoding
    assert found[0].text in text
    assert len(found) == (2 if encoding in AMBIGUOUS else 1)


@pytest.mark.parametrize(("encoding", "text"), CASES)
def test_text_in_the_encoding_that_is_advised_reads_as_it_was(encoding, text):
    data = text.encode(encoding)
    with pytest.raises(UserError, match=rf"a\.csv: not UTF-8; .*: add --encoding {encoding}"):
        utf8_text(io.BytesIO(data), "a.csv")
    assert utf8_text(io.BytesIO(data), "a.csv", encoding).read().decode() == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["label,text\n1,fine\n", "라벨,리뷰\n긍정,음식이 맛있었어요\n"])
def test_utf_16_is_named_with_and_without_its_mark(encoding, text):
    data = text.encode(encoding)
    with pytest.raises(UserError, match=rf"reads as UTF-16.*: add --encoding {encoding}$"):
        utf8_text(io.BytesIO(data), "a.csv")
    assert utf8_text(io.BytesIO(data), "a.csv", encoding).read().decode("utf-8-sig") == text


def test_a_large_compressed_file_is_read_in_its_encoding():
    text = "음식이 맛있었어요\n" * 20_000
    data = gzip.compress(text.encode("cp949"))
    assert utf8_text(io.BytesIO(data), "a.txt.gz", "euc-kr").read().decode() == text


@pytest.mark.parametrize(
    "data",
    [
        "음식이 맛있었어요\n".encode() * 5 + "좋음\n".encode("cp949"),  # joined from two files
        b"plain text\n" * 200 + b"caf\xe9\n",
        b"a\n\xff\xfe\nb\n",
    ],
)
def test_a_few_damaged_bytes_are_left_to_their_records(data):
    assert utf8_text(io.BytesIO(data), "a.txt").read() == data


def test_what_reads_as_nothing_known_asks_for_its_encoding():
    with pytest.raises(UserError, match=r"its encoding is not known: say which with --encoding$"):
        utf8_text(io.BytesIO(b"".join(bytes([code, 10]) for code in range(128, 256))), "a.txt")


def test_a_wrong_encoding_is_refused_and_the_likely_one_named():
    korean = "음식이 맛있었어요\n".encode("cp949")
    with pytest.raises(UserError, match="not in the encoding utf-16; it reads as Korean in CP949"):
        utf8_text(io.BytesIO(korean), "a.txt", "utf-16")
    with pytest.raises(UserError, match=r"not in the encoding ascii; .*--encoding cp1252"):
        utf8_text(io.BytesIO("Köstlich für süße\n".encode("cp1252")), "a.txt", "ascii")


def test_among_files_of_another_encoding_one_in_utf_8_is_read_as_such(tmp_path, caplog):
    (tmp_path / "a.txt").write_bytes("음식이 맛있었어요".encode("cp949"))
    (tmp_path / "b.txt").write_bytes("직원이 친절함".encode())
    (tmp_path / "c.txt").write_bytes(b"plain")
    documents = read_documents([str(tmp_path)], file_format=FileFormat("cp949"))
    read = [document.text for document in documents]
    assert read == ["음식이 맛있었어요", "직원이 친절함", "plain"]
    (said,) = caplog.messages
    assert said.endswith("b.txt: is UTF-8 and read so, in spite of --encoding cp949")
