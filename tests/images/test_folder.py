import pytest

from selfsup.errors import UserError
from selfsup.images.files import find_images, find_labelled_images


def touch(folder, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_images_are_found_by_suffix_in_all_folders_sorted_by_name(tmp_path):
    touch(tmp_path, "b.PNG", "c/x.jpg", "a.jpeg", "c/ü ö.webp", "notes.txt", "d.gif", "e.TIFF")
    found = [file.relative_to(tmp_path).as_posix() for file in find_images(tmp_path)]
    assert found == ["a.jpeg", "b.PNG", "c/x.jpg", "c/ü ö.webp", "d.gif", "e.TIFF"]


def test_hidden_files_and_links_to_folders_are_skipped(tmp_path):
    touch(tmp_path, "in/a.png", "in/.b.png", "in/.thumbnails/c.png", "elsewhere/d.png")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    assert find_images(tmp_path / "in") == [tmp_path / "in" / "a.png"]


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
        ("empty", r"no image in it \(it holds no file\): images end in \.jpg"),
        ("texts", r"no image in it \(it holds sub/a\.txt\)"),
        ("texts/sub/a.txt", r"no image by its name, which must end in \.jpg"),
    ],
)
def test_a_path_without_images_is_refused(tmp_path, name, message):
    touch(tmp_path, "texts/sub/a.txt", "texts/sub/b.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        find_images(tmp_path / name)


def test_each_image_is_labelled_with_the_folder_it_lies_in(tmp_path):
    touch(tmp_path, "dog/1.png", "cat/2.png", "cat/deeper/3.png")
    (tmp_path / "bird").mkdir()
    files, labels = find_labelled_images(tmp_path)
    assert [file.name for file in files] == ["2.png", "3.png", "1.png"]
    assert labels == ["cat", "cat", "dog"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cat/1.png", "dog/2.png", "3.png"], r"/3\.png: lies in no class's folder"),
        (["caf\udce9/1.png", "tea/1.png"], r"caf\\udce9/1\.png: its name is not UTF-8: rename it"),
        (["train/cat/1.png", "test/cat/2.png"], "holds test and train, which are no classes"),
    ],
)
def test_folders_that_are_no_classes_are_refused(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(UserError, match=message):
        find_labelled_images(tmp_path)


def test_images_of_one_class_are_enough_to_measure_with(tmp_path):
    touch(tmp_path, "cat/1.png")
    assert find_labelled_images(tmp_path)[1] == ["cat"]


def test_a_single_file_has_no_classes(tmp_path):
    touch(tmp_path, "a.png")
    with pytest.raises(UserError, match="a folder for each class"):
        find_labelled_images(tmp_path / "a.png")
