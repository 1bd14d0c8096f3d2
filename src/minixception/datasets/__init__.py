"""Loaders: each turns files on disk into a `FaceDataset`. `registry` finds them by name."""

from minixception.datasets.face_dataset import (
    FaceDataset,
    split_names,
    stratified_split,
    twins_of,
)
from minixception.datasets.facial_expressions import load_facial_expressions
from minixception.datasets.fer2013 import load_fer2013
from minixception.datasets.ferplus import load_ferplus, read_ferplus_votes, votes_as_targets
from minixception.datasets.folders import load_class_folders
from minixception.datasets.imdb import load_imdb
from minixception.datasets.merging import merge_datasets, select_classes, with_classes
from minixception.datasets.posed import (
    EMOTIONS_CK_PLUS,
    EMOTIONS_JAFFE,
    EMOTIONS_KDEF,
    load_ck_plus,
    load_jaffe,
    load_kdef,
)
from minixception.datasets.split_index import read_split_index, split_per_class, write_split_index
from minixception.datasets.splits import content_split, draw_splits
from minixception.datasets.unlabelled import load_unlabelled
from minixception.datasets.utkface import load_utkface

__all__ = [
    "EMOTIONS_CK_PLUS",
    "EMOTIONS_JAFFE",
    "EMOTIONS_KDEF",
    "FaceDataset",
    "content_split",
    "draw_splits",
    "load_ck_plus",
    "load_class_folders",
    "load_facial_expressions",
    "load_fer2013",
    "load_ferplus",
    "load_imdb",
    "load_jaffe",
    "load_kdef",
    "load_unlabelled",
    "load_utkface",
    "merge_datasets",
    "read_ferplus_votes",
    "read_split_index",
    "select_classes",
    "split_names",
    "split_per_class",
    "stratified_split",
    "twins_of",
    "votes_as_targets",
    "with_classes",
    "write_split_index",
]
