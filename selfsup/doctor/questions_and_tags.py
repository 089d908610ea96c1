"""What can be wrong with labelled data for two tasks: questions, and tagged sentences.

First come questions in SQuAD's form, then sentences in CoNLL columns or in rows of words and tags.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from selfsup.corpus.readers.compression import format_suffix
from selfsup.corpus.readers.documents import BadRecord
from selfsup.corpus.readers.inputs import Input, opening
from selfsup.doctor import Fact, Finding, Problem, collect, fix_of
from selfsup.errors import UserError
from selfsup.tasks.json_files import has_rows
from selfsup.tasks.notes import DataError, contradiction_notes, counted, repetition_notes
from selfsup.tasks.question_answering.data import Questions
from selfsup.tasks.question_answering.files import read_squad
from selfsup.tasks.question_answering.task import QuestionAnswering
from selfsup.tasks.tables import Columns, Row, held, is_table, read_records
from selfsup.tasks.token_classification.annotations import read_json_rows
from selfsup.tasks.token_classification.columns import (
    first_lines,
    looks_like_conll,
    read_conll,
)
from selfsup.tasks.token_classification.entities import words_of_text
from selfsup.tasks.token_classification.metrics import count_entities
from selfsup.tasks.token_classification.rows import holds_tags, read_tagged_rows
from selfsup.tasks.token_classification.tag_scheme import (
    TaggedTexts,
    find_invalid_transitions,
    find_scheme,
)
from selfsup.tasks.token_classification.task import TokenClassification

_SHOWN = 3  # questions, types or tags that a message names
# Words that fit the usual maximum length, at about 1.25 tokens per word: in a context beside its
# question, and in a sentence. Above this share of longer ones there is a problem.
_MAX_CONTEXT_WORDS, _MAX_SENTENCE_WORDS = 300, 100
_MAX_LONG_SHARE = 0.1
# The suffixes of files that contain nothing but columns of words and tags, or brat's annotations.
_CONLL_SUFFIXES = (".conll", ".conllu", ".iob", ".iob2", ".bio", ".bioes", ".ner", ".ann")
_SAMPLE = 50  # rows that are read to recognise a file
_MAX_ROWS = 1_000_000  # later rows are not read, to limit the memory
_MIN_ENTITIES = 8


def is_squad(file: str, encoding: str | None) -> bool:
    """Whether the file is JSON without tags, or has rows with a question, its context and answers.

    Raises:
        UserError: it cannot be opened.
    """
    if has_rows(file) and is_table(file):
        records = read_records(file, at_most=_SAMPLE, tell=lambda note: None)
        rows = (row for row in records if isinstance(row, Row))
        return any({"context", "question", "answers"} <= row.fields.keys() for row in rows)
    if format_suffix(file) != ".json":
        return False
    with opening(Input(file, file, ".json")):
        pass
    try:
        return not holds_tags(read_json_rows(file, encoding))
    except UserError:
        return True


def question_problems(file: str, encoding: str | None) -> Iterator[Finding]:
    """Read questions as ``finetune`` does, but continue after mistakes.

    Raises:
        UserError: the file cannot be read at all, or is not in SQuAD's form.
    """
    mistakes: list[UserError] = []
    rows = _read_rows(file, Columns(), mistakes) if has_rows(file) else None
    questions = read_squad(file, labelled=True, encoding=encoding, mistakes=mistakes, rows=rows)
    answers = questions.answers or []
    yield Fact("questions", len(questions))
    yield Fact("contexts", len(questions.contexts))
    yield Fact("answers", sum(map(len, answers)))
    yield Fact("questions_without_answer", sum(not listed for listed in answers))
    yield from _mistake_problems(mistakes, "questions")
    if len(questions) and not any(answers):
        yield Problem(
            f"{file}: no question has an answer: there is nothing to learn from them",
            "give questions with answers as well",
        )
    yield from _repeated_or_empty_questions(questions)
    yield from _long_contexts(questions)


def _repeated_or_empty_questions(questions: Questions) -> Iterator[Problem]:
    file, indices = questions.source, range(len(questions))
    empty = [
        questions.ids[index]
        for index in indices
        if not questions.questions[index].strip() or not questions.context(index).strip()
    ]
    if empty:
        yield Problem(
            f"{file}: questions that are empty or have an empty context: {len(empty):,} "
            f"({_listed(empty)})",
            "remove them (finetune leaves them out of training anyway)",
        )
    seen: set[tuple[str, int]] = set()
    repeated = []
    for index in indices:
        key = (" ".join(questions.questions[index].split()), int(questions.context_of[index]))
        if key in seen:
            repeated.append(questions.ids[index])
        seen.add(key)
    if repeated:
        yield Problem(
            f"{file}: {counted(len(repeated), 'question is', 'questions are')} asked again about "
            f"the same context: {_listed(repeated)}",
            "keep one of each, with all answers that count as right",
        )


def _long_contexts(questions: Questions) -> Iterator[Problem]:
    long = [
        index
        for index, context in enumerate(questions.contexts)
        if len(words_of_text(context)) > _MAX_CONTEXT_WORDS
    ]
    if long and len(long) > _MAX_LONG_SHARE * len(questions.contexts):
        first = questions.ids[int((questions.context_of == long[0]).argmax())]
        yield Problem(
            f"{questions.source}: {len(long):,} of {len(questions.contexts):,} contexts have more "
            f"than {_MAX_CONTEXT_WORDS} words, more than fit into "
            f"{QuestionAnswering.default_max_length} tokens (the first "
            f"is that of question {first})",
            "nothing is lost: they are read in windows, which takes longer; for fewer windows, "
            "finetune with a larger --max-length, or give the paragraphs one by one",
        )


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def is_tagged(file: str, asked: Columns) -> bool:
    """Whether the first sentences of a file have tags; some of its lines may be wrong.

    Raises:
        UserError: there is nothing to read.
    """
    suffix = format_suffix(file)
    if suffix == ".json":
        return holds_tags(read_json_rows(file, asked.file_format.encoding))
    if has_rows(file):
        if not is_table(file):  # several files
            return False
        records = read_records(file, asked, _SAMPLE, tell=lambda note: None)
        try:
            return holds_tags(record for record in records if isinstance(record, Row))
        except UserError:  # whatever reads it as another kind of file reports the error
            return False
    try:
        lines = first_lines(file, asked.file_format.encoding)
    except UserError:  # whatever reads it as another kind of file reports the error
        return False
    return suffix in _CONLL_SUFFIXES or looks_like_conll(lines, share=0.5)


def tagged_problems(file: str, asked: Columns) -> Iterator[Finding]:
    """Read tagged sentences as ``finetune`` does, but continue after mistakes.

    Raises:
        UserError: the file cannot be read at all, or it is unclear which fields to use.
    """
    mistakes: list[UserError] = []
    is_json = format_suffix(file) == ".json"
    if is_json or has_rows(file):
        encoding = asked.file_format.encoding
        rows = read_json_rows(file, encoding) if is_json else _read_rows(file, asked, mistakes)
        sentences = read_tagged_rows(rows, file, asked, labelled=True, mistakes=mistakes)
    else:
        sentences = read_conll(file, asked, labelled=True, mistakes=mistakes)
    found = sentences.sentences
    if sentences.notes:
        yield Fact("read", "; ".join(note.removeprefix(f"{file}: ") for note in sentences.notes))
    words = sum(len(sentence.spans) for sentence in found)
    yield Fact("sentences", len(found))
    yield Fact("words", words)
    yield from _mistake_problems(mistakes, "rows")
    if not words:
        if not mistakes:
            yield Problem(f"{file}: no sentence has a word", "give words with their tags")
        return
    yield from collect(_scheme_problems(sentences))
    yield from _entity_problems(sentences)
    yield from _sentence_problems(sentences)


def _read_rows(file: str, asked: Columns, mistakes: list[UserError]) -> list[Row]:
    """The rows that can be read; the others become mistakes."""
    records = list(held(read_records(file, asked, _MAX_ROWS), file))
    mistakes += [
        UserError(f"{record}: {fix_of(record, 'fix or remove the row')}")
        for record in records
        if isinstance(record, BadRecord)
    ]
    return [record for record in records if isinstance(record, Row)]


def _mistake_problems(mistakes: Iterable[UserError], records: str) -> Iterator[Problem]:
    """One problem for each kind of mistake: how many there are, and the first of them.

    Args:
        mistakes: in the order of the file.
        records: the name of the records, such as "rows", for mistakes of no known kind.
    """
    by_kind: defaultdict[str, list[UserError]] = defaultdict(list)
    for mistake in mistakes:
        known = isinstance(mistake, DataError)
        by_kind[mistake.kind if known else f"{records} that cannot be used"].append(mistake)
    for kind, alike in by_kind.items():
        first = Problem.from_error(alike[0])
        yield Problem(f"{kind}: {len(alike):,}; the first: {first.what}", first.fix)


def _scheme_problems(sentences: TaggedTexts) -> Iterator[Finding]:
    scheme = find_scheme(sentences.source, sentences.sentences)
    yield Fact("tag_scheme", scheme)
    invalid = find_invalid_transitions(sentences.sentences, scheme)
    if invalid:
        shown = "; ".join(f"line {each.line}: {each.what}" for each in invalid[:_SHOWN])
        more = "; …" if len(invalid) > _SHOWN else ""
        yield Problem(
            f"{sentences.source}: tags that the {scheme} scheme does not allow in their position: "
            f"{len(invalid):,} ({shown}{more})",
            "fix them; finetune reads a tag that continues no entity as the first of one",
        )


def _entity_problems(sentences: TaggedTexts) -> Iterator[Finding]:
    counts = count_entities(sentences)
    yield Fact("entities", dict(counts.most_common()))
    if not counts:
        yield Problem(
            f"{sentences.source}: all words are tagged O: there is nothing to learn",
            "give sentences with entities",
        )
    rare = [f'"{kind}" ({count})' for kind, count in counts.items() if count < _MIN_ENTITIES]
    if rare:
        more = ", …" if len(rare) > _SHOWN else ""
        yield Problem(
            f"{sentences.source}: types with fewer than {_MIN_ENTITIES} entities: {len(rare)}, "
            f"{', '.join(rare[:_SHOWN])}{more}",
            "give more examples of them, or merge them with others",
        )


def _sentence_problems(sentences: TaggedTexts) -> Iterator[Problem]:
    source, all_sentences = sentences.source, sentences.sentences
    keys, lines = sentences.keys(), [sentence.line for sentence in all_sentences]
    for note in repetition_notes(source, keys, lines):
        yield Problem(
            note, "remove them, so that no sentence is both in training and in validation"
        )
    tags = [tuple(sentence.tags or ()) for sentence in all_sentences]
    for note in contradiction_notes(source, keys, tags, lines):
        yield Problem(note, "decide on the tags of each")
    long = [
        sentence.line for sentence in all_sentences if len(sentence.spans) > _MAX_SENTENCE_WORDS
    ]
    if len(long) > _MAX_LONG_SHARE * len(all_sentences):
        yield Problem(
            f"{source}: {len(long):,} of {len(all_sentences):,} sentences have more than "
            f"{_MAX_SENTENCE_WORDS} words, more than fit into "
            f"{TokenClassification.default_max_length} tokens (the first in "
            f"line {long[0]})",
            "end each sentence with a blank line, or give it its own row; nothing is lost, but "
            "longer ones are read in windows",
        )
