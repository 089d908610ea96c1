import unicodedata

import pytest

from selfsup.errors import UserError
from selfsup.images.files import find_images, search_images


def touch(folder, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_images_are_found_by_suffix_in_all_folders_sorted_by_name(tmp_path):
    touch(tmp_path, "b.PNG", "c/x.jpg", "a.jpeg", "c/ü ö.webp", "notes.txt", "d.gif", "e.TIFF")
    found = [file.relative_to(tmp_path).as_posix() for file in find_images(tmp_path)]
    assert found == ["a.jpeg", "b.PNG", "c/x.jpg", "c/ü ö.webp", "d.gif", "e.TIFF"]


def test_hidden_files_and_what_systems_leave_are_skipped_without_a_word(tmp_path):
    touch(tmp_path, "a.png", ".b.png", "._a.png", ".thumbnails/c.png", "__MACOSX/d.png")
    touch(tmp_path, "Thumbs.db", "desktop.ini", ".DS_Store", "@eaDir/e.jpg", "Icon\r")
    found = search_images(tmp_path)
    assert (found.files, found.notes()) == ([tmp_path / "a.png"], ())


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path, "in/a.png", "elsewhere/b.png", "elsewhere/deep/c.png")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "d.png").symlink_to(tmp_path / "in" / "a.png")
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "in")
    found = [file.relative_to(tmp_path / "in").as_posix() for file in find_images(tmp_path / "in")]
    assert found == ["a.png", "d.png", "link/b.png", "link/deep/c.png"]


@pytest.mark.parametrize("target", ["unplugged", "blue"])
def test_a_link_to_nothing_or_to_itself_is_refused(tmp_path, target):
    touch(tmp_path, "red/a.png")
    (tmp_path / "blue").symlink_to(tmp_path / target)
    with pytest.raises(UserError, match=r"blue: cannot be read .*: check what it links to"):
        find_images(tmp_path)


def test_the_pictures_of_a_run_are_no_images_of_the_user(tmp_path):
    touch(tmp_path, "a.png", "runs/one/run.yaml", "runs/one/pictures/01-original.png")
    assert find_images(tmp_path) == [tmp_path / "a.png"]
    (shown,) = find_images(tmp_path / "runs" / "one")
    assert shown.name == "01-original.png"


def test_a_file_stands_for_itself(tmp_path):
    touch(tmp_path, "a.png")
    assert find_images(tmp_path / "a.png") == [tmp_path / "a.png"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "no such file or folder"),
        ("empty", r"no image in it \(it holds no file\): name a folder"),
        ("texts", r"no image in it \(it holds 2 \.txt\)"),
        ("texts/sub/a.txt", "no image, by its name or by its content"),
    ],
)
def test_a_path_without_images_is_refused(tmp_path, name, message):
    touch(tmp_path, "texts/sub/a.txt", "texts/sub/b.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        find_images(tmp_path / name)


def test_each_image_is_labelled_with_the_folder_it_lies_in(tmp_path):
    touch(tmp_path, "dog/1.png", "cat/2.png", "cat/deeper/3.png", "elsewhere/4.png")
    (tmp_path / "elsewhere").rename(tmp_path / ".linked")
    (tmp_path / "fox").symlink_to(tmp_path / ".linked")
    found = search_images(tmp_path)
    assert [file.name for file in found.files] == ["2.png", "3.png", "1.png", "4.png"]
    assert found.labels() == ["cat", "cat", "dog", "fox"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cat/1.png", "dog/2.png", "3.png"], r"/3\.png: lies in no class's folder"),
        (["train/cat/1.png", "test/cat/2.png"], "holds test and train, which are no classes"),
        (
            ["cat/1.png", "dog/1.mp4", "dog/b/2.mp4", "dog/notes"],
            "dog: a class without images, it holds 2 .mp4, 1 without suffix: give it images, or",
        ),
    ],
)
def test_folders_that_are_no_classes_are_refused(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(UserError, match=message):
        search_images(tmp_path).labels()


def test_what_is_passed_over_is_said(tmp_path):
    touch(tmp_path, "cat/1.png", "cat/1.txt", "dog/2.jpg", "dog/2.txt", "labels.csv", "dog/deep/x")
    touch(tmp_path, "run/run.yaml", "newt/.DS_Store")
    (tmp_path / "bird").mkdir()
    found = search_images(tmp_path)
    assert found.labels() == ["cat", "dog"]
    assert found.notes() == (
        f"{tmp_path}: passed over files that are no images: 2 .txt, 1 without suffix, 1 .csv",
        f"{tmp_path}: passed over folders without files: bird, newt",
    )


def test_a_file_that_is_still_in_the_cloud_is_said(tmp_path):
    touch(tmp_path, "cat/1.png", "cat/.2.png.icloud")
    assert "no images: 1 .icloud" in search_images(tmp_path).notes()[0]


def test_a_class_is_the_same_however_its_name_is_composed(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "강아지 é") for form in ("NFC", "NFD"))
    assert composed != decomposed
    touch(tmp_path, f"{decomposed}/1.png", "cat/2.png")
    assert set(search_images(tmp_path).labels()) == {composed, "cat"}


def test_images_of_one_class_are_enough_to_measure_with(tmp_path):
    touch(tmp_path, "cat/1.png")
    assert search_images(tmp_path).labels() == ["cat"]


def test_a_single_file_has_no_classes(tmp_path):
    touch(tmp_path, "a.png")
    with pytest.raises(UserError, match="a folder for each class"):
        search_images(tmp_path / "a.png").labels()


@pytest.mark.parametrize("address", ["s3://bucket/images", "https://host/a.png", "gs://b/"])
def test_images_at_an_address_are_refused(address):
    with pytest.raises(UserError, match=f"{address}: images are read from local folders only"):
        find_images(address)
