"""Names from a model file made safe for C: nothing in a file's text reaches the generated code unchecked."""

import re
from collections.abc import Iterable

_RESERVED = {
    "auto",
    "break",
    "case",
    "char",
    "const",
    "continue",
    "default",
    "do",
    "double",
    "else",
    "enum",
    "extern",
    "float",
    "for",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "typedef",
    "union",
    "unsigned",
    "void",
    "volatile",
    "while",
    "bool",
    "true",
    "false",
    "main",
    "NULL",
    "arena",
    "in",
    "out",
    "asm",
    "typeof",
    "class",
    "template",
    "new",
    "delete",
    "this",
    "private",
    "public",
    "protected",
    "virtual",
    "namespace",
    "try",
    "catch",
    "throw",
    "operator",
    "using",
    "and",
    "or",
    "not",
    "xor",
    "offsetof",
    "linux",
    "unix",
}
#: Functions of the C library that compilers know without a header; math's are known for float and long double too.
_MATH = """
acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma fmax fmin fmod
frexp hypot ilogb ldexp lgamma llrint llround log log10 log1p log2 logb lrint lround modf nan nearbyint nextafter nexttoward
pow remainder remquo rint round scalbln scalbn sin sinh sqrt tan tanh tgamma trunc
"""
_LIBRARY = """
abort abs cabs calloc carg cimag conj cproj creal exit fprintf fputc fputs free fscanf fwrite imaxabs isalnum isalpha isblank
iscntrl isdigit isgraph islower isprint ispunct isspace isupper isxdigit labs llabs malloc memchr memcmp memcpy memmove memset
printf putc putchar puts realloc scanf snprintf sprintf sscanf strcat strchr strcmp strcpy strcspn strlen strncat strncmp
strncpy strpbrk strrchr strspn strstr tolower toupper vfprintf vfscanf vprintf vscanf vsnprintf vsprintf vsscanf
"""
_RESERVED |= {name + kind for name in _MATH.split() for kind in ("", "f", "l")} | set(_LIBRARY.split())
LONGEST = 48


def identifier(text: str, fallback: str) -> str:
    """A C identifier made of letters, digits and single underscores; `fallback` if nothing is left."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:LONGEST].strip("_")
    if not name:
        name = fallback
    system = name.endswith("_t") or name.isupper()  # types and macros of the headers
    if name[0].isdigit() or name in _RESERVED or system or name.lower().startswith("lam_") or name.lower() == "lam":
        name = "m_" + name
    return name


def unique(texts: Iterable[str], fallback: str, taken: Iterable[str] = ()) -> list[str]:
    """An identifier for each text, all different, also without regard to case."""
    used = {t.lower() for t in taken}
    names = []
    for text in texts:
        base = identifier(text, fallback)
        name, k = base, 2
        while name.lower() in used:
            name, k = f"{base}_{k}", k + 1
        used.add(name.lower())
        names.append(name)
    return names


def comment(text: str) -> str:
    """Text that can stand in a C comment, a string or a CMake file: letters, digits, and a few harmless signs."""
    return re.sub(r"[^A-Za-z0-9 _.,:;()\[\]<>=+%/-]", "_", str(text)).replace("//", "/")[:200]
