"""What conda packages are called on the Python index, and which of them are not there.

A name in none of these tables is looked for on the index as it is.
"""

from __future__ import annotations

# The same software under another name.
RENAMED = {
    "brotli-python": "brotli",
    "dask-core": "dask",
    "faiss": "faiss-cpu",
    "importlib_metadata": "importlib-metadata",
    "jupyter_core": "jupyter-core",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "numpy-base": "numpy",
    "opencv": "opencv-python-headless",
    "psycopg2": "psycopg2-binary",  # the other one needs a compiler and PostgreSQL's headers
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "pyarrow-core": "pyarrow",
    "pyqt": "pyqt5",
    "pysocks": "pysocks",
    "pytables": "tables",
    "python-blosc": "blosc",
    "python-flatbuffers": "flatbuffers",
    "python-graphviz": "graphviz",
    "python-lmdb": "lmdb",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "ruamel_yaml": "ruamel-yaml",
    "seaborn-base": "seaborn",
    "tensorflow-base": "tensorflow",
    "tensorflow-cpu": "tensorflow-cpu",
    "tensorflow-gpu": "tensorflow",
    "uwsgi": "uwsgi",
    "xgboost-base": "xgboost",
}

# What an interpreter or its packages bring along; a file written by `conda env export` lists them all.
PART_OF_PYTHON = frozenset(
    {
        "_libgcc_mutex",
        "_openmp_mutex",
        "blas",
        "bzip2",
        "ca-certificates",
        "expat",
        "intel-openmp",
        "ld_impl_linux-64",
        "ld_impl_linux-aarch64",
        "libblas",
        "libcblas",
        "libcxx",
        "libexpat",
        "libffi",
        "libgcc",
        "libgcc-ng",
        "libgfortran",
        "libgfortran-ng",
        "libgfortran5",
        "libgomp",
        "liblapack",
        "liblzma",
        "libnsl",
        "libopenblas",
        "libsqlite",
        "libstdcxx",
        "libstdcxx-ng",
        "libuuid",
        "libxcrypt",
        "libzlib",
        "llvm-openmp",
        "ncurses",
        "nomkl",
        "openssl",
        "python_abi",
        "pytorch-mutex",
        "readline",
        "sqlite",
        "tk",
        "tzdata",
        "ucrt",
        "vc",
        "vc14_runtime",
        "vs2015_runtime",
        "xz",
        "zlib",
        "zstd",
    }
)

# Programs and libraries that are no Python packages: under some of these names the index has something else.
_CUDA = "CUDA's libraries come with the wheels of torch, tensorflow and onnxruntime-gpu: leave it out"
_SYSTEM = "it is a program or library of the system: install it with the system's packages"
NOT_PYTHON = {
    **dict.fromkeys(("cudatoolkit", "cudnn", "cuda", "cuda-toolkit", "nccl", "pytorch-cuda"), _CUDA),
    **dict.fromkeys(("cuda-runtime", "cuda-libraries", "cuda-nvcc", "cuda-cudart", "cuda-version"), _CUDA),
    **dict.fromkeys(
        ("openjdk", "nodejs", "git", "curl", "wget", "make", "perl", "ffmpeg", "r-base"), _SYSTEM
    ),
    **dict.fromkeys(("gcc", "gxx", "gcc_linux-64", "gxx_linux-64", "compilers", "c-compiler"), _SYSTEM),
    **dict.fromkeys(("cxx-compiler", "fortran-compiler", "boost", "hdf5", "proj", "geos", "gdal"), _SYSTEM),
    **dict.fromkeys(("graphviz", "libpq", "postgresql", "tesseract", "poppler", "libspatialindex"), _SYSTEM),
    **dict.fromkeys(("libgl", "mesalib", "libglib", "unixodbc", "openmpi", "mpich"), _SYSTEM),
}
