"""What can be wrong with questions in SQuAD's form."""

from collections.abc import Iterator
from itertools import islice

from selfsup.corpus.readers.compression import format_suffix
from selfsup.corpus.readers.documents import BadRecord
from selfsup.corpus.readers.inputs import Input, opening
from selfsup.doctor.problem import Fact, Finding, Problem, collect, mistake_problems
from selfsup.errors import UserError
from selfsup.tasks.notes import contradiction_notes, repetition_notes
from selfsup.tasks.question_answering.data import Questions, read_squad
from selfsup.tasks.question_answering.task import QuestionAnswering
from selfsup.tasks.tables import Columns, Row, is_table, read_records
from selfsup.tasks.token_classification.answers import count_entities, keys_of
from selfsup.tasks.token_classification.files import ROWS, looks_like_conll, read_conll, read_lines
from selfsup.tasks.token_classification.rows import holds_tags, read_tagged_rows, words_of_text
from selfsup.tasks.token_classification.tag_scheme import TaggedTexts, find_breaches, find_scheme
from selfsup.tasks.token_classification.task import TokenClassification

# Words of running text that fill the usual length beside a question, of some 1.25 tokens each.
_LONG_CONTEXT_WORDS, _MOST_LONG_CONTEXTS = 300, 0.1
_SHOWN_QUESTIONS = 3


def is_squad(file: str) -> bool:
    """Whether the file is JSON, as no other file is that the doctor knows.

    Raises:
        UserError: it cannot be opened.
    """
    if format_suffix(file) != ".json":
        return False
    with opening(Input(file, file, ".json")):
        return True


def question_problems(file: str) -> Iterator[Finding]:
    """Read questions as ``finetune`` would, but go on where it would stop.

    Raises:
        UserError: the file cannot be read at all, or is not in SQuAD's form.
    """
    mistakes: list[UserError] = []
    questions = read_squad(file, labelled=True, mistakes=mistakes)
    answers = questions.answers or []
    yield Fact("questions", len(questions))
    yield Fact("contexts", len(questions.contexts))
    yield Fact("answers", sum(map(len, answers)))
    yield Fact("questions_without_answer", sum(not listed for listed in answers))
    yield from mistake_problems(mistakes, "questions")
    if len(questions) and not any(answers):
        yield Problem(
            f"{file}: no question has an answer: there is nothing to learn from them",
            "give questions with answers beside those without",
        )
    yield from _text_problems(questions)
    yield from _length_problems(questions)


def _text_problems(questions: Questions) -> Iterator[Problem]:
    file, places = questions.source, range(len(questions))
    empty = [
        questions.ids[place]
        for place in places
        if not questions.questions[place].strip() or not questions.context(place).strip()
    ]
    if empty:
        yield Problem(
            f"{file}: {len(empty):,} questions or their contexts are empty: {_listed(empty)}",
            "take them out (finetune leaves them out of training by itself)",
        )
    seen: set[tuple[str, int]] = set()
    repeated = []
    for place in places:
        key = (" ".join(questions.questions[place].split()), int(questions.context_of[place]))
        if key in seen:
            repeated.append(questions.ids[place])
        seen.add(key)
    if repeated:
        yield Problem(
            f"{file}: {len(repeated):,} questions are asked again about the same context: "
            f"{_listed(repeated)}",
            "keep one of each, with all answers that count as right",
        )


def _length_problems(questions: Questions) -> Iterator[Problem]:
    long = [
        place
        for place, context in enumerate(questions.contexts)
        if len(words_of_text(context)) > _LONG_CONTEXT_WORDS
    ]
    if long and len(long) > _MOST_LONG_CONTEXTS * len(questions.contexts):
        first = questions.ids[int((questions.context_of == long[0]).argmax())]
        yield Problem(
            f"{questions.source}: {len(long):,} of {len(questions.contexts):,} contexts have more "
            f"than {_LONG_CONTEXT_WORDS} words, more than go into "
            f"{QuestionAnswering.default_max_length} tokens (the first "
            f"is that of question {first})",
            "nothing is cut: they are read in windows, which takes longer; to have fewer, finetune "
            "with a larger --max-length, or give the paragraphs one by one",
        )


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN_QUESTIONS:,} more" if len(ids) > _SHOWN_QUESTIONS else ""
    return ", ".join(ids[:_SHOWN_QUESTIONS]) + more


# What can be wrong with tagged sentences: CoNLL columns, or rows of words and tags.


# The endings of files that hold columns of tags and nothing else.
_COLUMNS = (".conll", ".conllu", ".iob", ".iob2", ".bio", ".bioes", ".ner")
_LOOKED_AT = 50
_MOST_ROWS = 1_000_000  # as many are looked at, so that memory is bounded
_FEWEST_ENTITIES = 8
# Words that fill the usual length, of some 1.25 tokens each.
_LONG_SENTENCE_WORDS, _MOST_LONG_SENTENCES = 100, 0.1
_SHOWN_SENTENCES = 3


def is_tagged(file: str) -> bool:
    """Whether the first sentences of a file have tags, even if some of its lines are wrong.

    Raises:
        UserError: there is nothing to read.
    """
    suffix = format_suffix(file)
    if suffix in ROWS or file.startswith("hf://"):
        if not is_table(file):  # several of them
            return False
        return holds_tags(row for row in read_records(file, _LOOKED_AT) if isinstance(row, Row))
    try:
        lines = [line for _, line in islice(read_lines(file), _LOOKED_AT)]
    except UserError:  # Whoever takes it for something else says what is wrong.
        return False
    return suffix in _COLUMNS or looks_like_conll(lines, share=0.5)


def tagged_problems(file: str) -> Iterator[Finding]:
    """Read tagged sentences as ``finetune`` would, but go on where it would stop.

    Raises:
        UserError: the file cannot be read at all, or which of its fields are meant is not plain.
    """
    mistakes: list[UserError] = []
    if format_suffix(file) in ROWS or file.startswith("hf://"):
        records = list(read_records(file, _MOST_ROWS))
        mistakes += [_unreadable(record) for record in records if isinstance(record, BadRecord)]
        rows = [record for record in records if isinstance(record, Row)]
        found, _ = read_tagged_rows(rows, file, Columns(), labelled=True, mistakes=mistakes)
    else:
        found = read_conll(file, labelled=True, mistakes=mistakes)
    sentences = TaggedTexts(file, found)
    words = sum(len(sentence.spans) for sentence in found)
    yield Fact("sentences", len(found))
    yield Fact("words", words)
    yield from mistake_problems(mistakes, "rows")
    if not words:
        if not mistakes:
            yield Problem(f"{file}: no sentence has a word", "give words with their tags")
        return
    yield from collect(_scheme_problems(sentences))
    yield from _entity_problems(sentences)
    yield from _sentence_problems(sentences)


def _unreadable(record: BadRecord) -> UserError:
    mend = "write the file as UTF-8 (iconv -f LATIN1 -t UTF-8)"
    return UserError(f"{record}: {mend if 'UTF-8' in record.reason else 'mend or remove the row'}")


def _scheme_problems(sentences: TaggedTexts) -> Iterator[Finding]:
    scheme = find_scheme(sentences.source, sentences.sentences)
    yield Fact("tag_scheme", scheme)
    breaches = find_breaches(sentences.sentences, scheme)
    if breaches:
        shown = "; ".join(
            f"line {breach.line}: {breach.what}" for breach in breaches[:_SHOWN_SENTENCES]
        )
        more = "; …" if len(breaches) > _SHOWN_SENTENCES else ""
        yield Problem(
            f"{sentences.source}: tags that the {scheme} scheme does not allow where they stand: "
            f"{len(breaches):,} ({shown}{more})",
            "mend them; finetune takes a tag that continues nothing for the first of an entity",
        )


def _entity_problems(sentences: TaggedTexts) -> Iterator[Finding]:
    counts = count_entities(sentences)
    yield Fact("entities", dict(counts.most_common()))
    if not counts:
        yield Problem(
            f"{sentences.source}: all words are tagged O: there is nothing to learn",
            "give sentences with entities",
        )
    rare = [f'"{kind}" ({count})' for kind, count in counts.items() if count < _FEWEST_ENTITIES]
    if rare:
        more = ", …" if len(rare) > _SHOWN_SENTENCES else ""
        yield Problem(
            f"{sentences.source}: types with fewer than {_FEWEST_ENTITIES} entities: {len(rare)}, "
            f"{', '.join(rare[:_SHOWN_SENTENCES])}{more}",
            "give more examples of them, or join them with others",
        )


def _sentence_problems(sentences: TaggedTexts) -> Iterator[Problem]:
    source, all_of_them = sentences.source, sentences.sentences
    keys, lines = keys_of(sentences), [sentence.line for sentence in all_of_them]
    for note in repetition_notes(source, keys, lines):
        yield Problem(
            note, "take them out, lest the same sentence be in training and in validation"
        )
    tags = [tuple(sentence.tags or ()) for sentence in all_of_them]
    for note in contradiction_notes(source, keys, tags, lines):
        yield Problem(note, "decide on the tags of each")
    long = [sentence.line for sentence in all_of_them if len(sentence.spans) > _LONG_SENTENCE_WORDS]
    if len(long) > _MOST_LONG_SENTENCES * len(all_of_them):
        yield Problem(
            f"{source}: {len(long):,} of {len(all_of_them):,} sentences have more than "
            f"{_LONG_SENTENCE_WORDS} words, more than go into "
            f"{TokenClassification.default_max_length} tokens (the first in "
            f"line {long[0]})",
            "end each sentence with a blank line, or a row of its own; nothing is cut, but longer "
            "ones are read in windows",
        )
