"""Problem files: the format, its equivalence with Python, and hostile input."""

from __future__ import annotations

import runpy
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import example, given
from hypothesis import strategies as st

import inntd as it
from inntd.problems.parser import Parser
from inntd.problems.toml import MAX_BYTES, parse_problem, read_problem
from inntd.problems.whitelist import FUNCTIONS, MAX_LENGTH, OPERATORS, Budget

EXAMPLES = Path(__file__).parent.parent / "examples"

HEAD = """
[axes."x[1:3]"]
domain = [0, 1]
elements = 8
[axes.t]
domain = [0, 2]
elements = 8
kind = "time"
"""
INITIAL = "[[conditions]]\nat = {t = 0}\nvalue = 0\n"


def file(problem: str = 'strong = "dt(u) - laplacian(u)"', *, head: str = HEAD, tail: str = INITIAL) -> str:
    return f"{head}\n[problem]\n{problem}\n{tail}"


def read(expression: str, **parts: str) -> Any:
    return parse_problem(file(f"strong = {expression!r}".replace("'", '"'), **parts))


def parsed(text: str) -> sympy.Expr:
    """Parse an expression with the names x, y, x[1], x[2]."""
    names = {name: (sympy.Symbol(name, real=True), 0) for name in ("x", "y", "x[1]", "x[2]")}
    return Parser("here", names.__getitem__, names, Budget()).parse(text)


X, Y = (sympy.Symbol(name, real=True) for name in "xy")
X1, X2 = (sympy.Symbol(f"x[{i}]", real=True) for i in (1, 2))
IN_PIECES = sympy.Piecewise((1, sympy.Le(0.2, X) & (X < 0.5)), (X, (Y > 2) | ~(Y > 1)), (0, True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1/3*x", X / 3),
        ("0.5*x - 2e-3", 0.5 * X - 2e-3),
        ("-x**2 + +y", -(X**2) + Y),
        ("2**3**2", sympy.Integer(512)),
        ("(pi/2)**2 * E", sympy.pi**2 / 4 * sympy.E),
        ("sin(x) + log(y) + abs(x) + sqrt(y)", sympy.sin(X) + sympy.log(Y) + sympy.Abs(X) + sympy.sqrt(Y)),
        ("min(x, y, 1) + max(x, 0)", sympy.Min(X, Y, 1) + sympy.Max(X, 0)),
        ("sum(x[i]**i for i in range(1, 3))", X1 + X2**2),
        ("prod(i*x[i] for i in range(1, 3))", 2 * X1 * X2),
        ("sum(i*j*x for i in range(3) for j in range(i, 3))", 7 * X),
        ("sum(x for i in range(0))", sympy.S.Zero),
        ("x[1 + 1]", X2),
        ("sum(x[3 - i] for i in range(2, 0, -1))", X1 + X2),
        ("indicator(x >= 0.5)", it.indicator(X >= 0.5)),
        ("indicator(0.2 <= x < 0.5)", it.indicator(sympy.Le(0.2, X) & (X < 0.5))),
        ("indicator(x < 1 and not (y > 2 or y < 0))", it.indicator((X < 1) & ~((Y > 2) | (Y < 0)))),
        ("piecewise((1, x < 0.5), (y, True))", sympy.Piecewise((1, X < 0.5), (Y, True))),
        ("piecewise((1, 0.2 <= x < 0.5), [x, y > 2 or not y > 1], (0, True))", IN_PIECES),
        ("piecewise((x, True), (1, y < 3))", X),
        ("piecewise((x, 1 < 2), (1, y < 3))", X),
        ("\n  x\n  + y\n", X + Y),
        ("+".join(["x"] * 300), 300 * X),
    ],
)
def test_expressions_become_sympy(text: str, expected: sympy.Expr) -> None:
    assert parsed(text) == expected


REFUSED = {
    "__import__('os').system('true')": "column 1: this cannot be called",
    "open(1)": "column 1: open cannot be called",
    "eval(x)": "eval cannot be called",
    "x.__class__": "attribute access is not allowed",
    "(lambda: x)()": "this cannot be called",
    "lambda: x": "lambda is not allowed",
    "__builtins__": "unknown name __builtins__",
    "'x'": "str constants are not allowed",
    "f'{x}'": "a string is not allowed",
    "b'x'": "bytes constants",
    "True": "bool constants",
    "None": "NoneType constants",
    "1j": "complex constants",
    "x if x else y": r"'if' ... 'else' \(use piecewise\) is not allowed",
    "piecewise()": r"piecewise takes 1 to 64 pairs \(value, comparison\), got 0",
    "piecewise(" + ", ".join(["(x, y < 1)"] * 65) + ")": "1 to 64 pairs .* got 65",
    "piecewise(1, x < 2)": r"column 11: piecewise takes pairs \(value, comparison\), such as",
    "piecewise((1, x < 2, 3))": "piecewise takes pairs",
    "piecewise((x < 2, 1))": "a scalar is expected, got a comparison; comparisons go into indicator or piecewise",
    "piecewise(((1, 2), x < 2))": "a scalar is expected, got a list",
    "piecewise((1, x), (2, True))": "the second part of a pair in piecewise is a comparison, or True",
    "piecewise((1, x == 2), (2, True))": "== is not allowed",
    "piecewise((1, False), (2, True))": "bool constants are not allowed",
    "piecewise((1, 1 > 2))": "none of the conditions of piecewise ever holds",
    "piecewise((1/0, x < 2), (2, True))": "division by zero",
    "piecewise((1, x < 2), k=3)": "takes no named arguments",
    "piecewise": r"piecewise is a function, written piecewise\(...\)",
    "[x for i in range(3)]": "'for' outside of sum and prod",
    "(x := 3)": "assignment is not allowed",
    "{1: 2}": "Dict is not allowed",
    "x ^ 2": r"\^ \(powers are written \*\*\) is not allowed",
    "x % 2": "% is not allowed",
    "x @ y": r"@ \(use dot\) is not allowed",
    "x == 1": "== is not allowed; indicators compare",
    "x < 1": "a scalar expression is expected, got a comparison",
    "x and y": "join comparisons inside indicator",
    "(x < 1) + y": "comparisons take no arithmetic",
    "x + q": r"column 5: unknown name q .*known: x, y, x\[1\]",
    "x[3]": r"unknown name x\[3\]; did you mean x\[2\]",
    "x[y]": "an integer is expected, got y",
    "x[1:2]": "a range of indices is not allowed",
    "x[1][1]": "only families of axes, vectors and matrices take an index",
    "sin": r"sin is a function, written sin\(...\)",
    "exact": "the file gives no exact",
    "sni(x)": r"sni cannot be called \(did you mean sin\?\)",
    "sin(x, y)": "sin takes 1 argument, got 2",
    "sin(x, k=1)": "sin takes no named arguments",
    "sin(*x)": "Starred is not allowed",
    "indicator(3)": "indicator: relation must be a SymPy relation",
    "sum(x)": "sum needs one expression with 'for'",
    "sum(x for i in (1, 2))": "runs over range",
    "sum(x for i in range(3) if i)": "'if' is not allowed after 'for'",
    "sum(x for i, j in range(3))": "one plain variable",
    "sum(x for sin in range(3))": "sin has a meaning of its own",
    "sum(x for i in range(1, 9, 0))": "step of a range must not be 0",
    "sum(x for i in range(10**9))": "a range may have 10000 items",
    "sum(x for i in range(10000) for j in range(10000))": "more than 100000 steps",
    "9**9**9": "the exponent is too large",
    "10**99*10**99": "too large",
    "prod(10**99*x for i in range(10000))": "has too many digits",
    "((((x**1000)**1000)**1000)**1000)**1e9": "the exponent is too large",
    "exp(exp(exp(9)))": "not real or too large",
    "1e999": "the number is too large",
    "9" * 5000: "too large|Exceeds the limit",
    "1/0": "division by zero",
    "x/(1 - 1)": "division by zero",
    "0**-1": "division by zero",
    "log(0)": "not a finite number",
    "sqrt(-1)": "not real or too large",
    "x +": "invalid syntax",
    "x y": "invalid syntax",
    "x\0": "null",
    "": "invalid syntax",
    "(" * 1000 + "x" + ")" * 1000: "too many nested|nested too deeply",
    "-" * 500 + "x": "nested too deeply",
    "-" * 15000 + "x": "nested too deeply",
    "sin(" * 70 + "x" + ")" * 70: "nested too deeply",
    "x" * (MAX_LENGTH + 1): "an expression may have 20000 characters",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:40])
def test_anything_else_is_refused_quickly(text: str) -> None:
    begin = time.process_time()
    with pytest.raises(ValueError, match=REFUSED[text]) as caught:
        parsed(text)
    assert str(caught.value).startswith("here")
    assert time.process_time() - begin < 20


tokens = st.sampled_from(
    [
        "x",
        "y",
        "x[1]",
        "2",
        "0.5",
        "10**9",
        "+",
        "-",
        "*",
        "/",
        "**",
        "(",
        ")",
        ",",
        "<",
        "and",
        "not",
        " for i in range(",
    ]
    + ["lambda", ":", ".", "'", "[", "]", "i", "sum(", "prod(", "indicator(", *(f"{name}(" for name in FUNCTIONS)]
    + [f"{name}(" for name in OPERATORS]
)


@given(st.lists(tokens, max_size=12).map("".join) | st.text(max_size=30))
@example("grad(x)*grad(x)")
@example("div(x)")
@example("diff(x,2)")
@example("dot((x,y),grad(x))**2")
@example("x**x**x**-1000")
def test_no_text_gives_anything_but_an_expression_or_a_named_refusal(text: str) -> None:
    outcome: Any
    try:
        outcome = parsed(text)
    except ValueError as error:
        outcome = str(error)
    assert isinstance(outcome, sympy.Expr) or outcome.startswith("here")


EXAMPLE_OPTIONS = {
    "cooling_fin": {"tolerance": 1e-4},
    "decay_chain": {"tolerance": 1e-4},
    "elasticity": {"rank": 9},
    "helmholtz": {"tolerance": 1e-9},
    "measured_conductivity": {"tolerance": 1e-6},
    "moving_source": {"rank": 40},
    "parametric_heat": {"rank": 15},
    "poisson_10d": {"tolerance": 1e-9},
    "poisson_bumps": {"tolerance": 1e-9},
    "poisson_product": {"tolerance": 1e-9},
    "random_diffusion": {"rank": 15},
}


@pytest.mark.parametrize("name", sorted(EXAMPLE_OPTIONS))
def test_examples_are_the_same_problem_in_both_forms(name: str) -> None:
    text, script = read_problem(EXAMPLES / f"{name}.toml"), runpy.run_path(str(EXAMPLES / f"{name}.py"))["problem"]
    problem = text.problem
    assert problem.title == script.title
    assert [axis.key for axis in problem.axes] == [axis.key for axis in script.axes]
    assert problem.operator == script.operator
    assert (problem.exact is None) == (script.exact is None)
    if name == "moving_source":  # separated numerically, by functions that each problem has for itself
        points = np.random.default_rng(0).uniform((-2, -2, -10, 0), (2, 2, 10, 0.1), (50, 4))
        assert problem.describe() == script.describe()
        assert problem.exact_function(points) == pytest.approx(script.exact_function(points), abs=1e-12)
    else:
        assert problem.load == script.load
        assert problem.exact is None or problem.exact.terms == script.exact.terms
    assert [c.value.terms for c in problem.conditions] == [c.value.terms for c in script.conditions]
    assert [[str(f) for f in c.faces] for c in problem.conditions] == [
        [str(f) for f in c.faces] for c in script.conditions
    ]
    assert text.solve == EXAMPLE_OPTIONS[name]
    assert text.exact is problem.exact


def test_every_example_has_both_forms() -> None:
    """But for those that train on data, which state no problem, and those that go on after the solution."""
    texts = {path.stem: path.read_text() for path in EXAMPLES.glob("*.py")}
    scripts = {name for name, text in texts.items() if "Problem(" in text and "calibrate(" not in text}
    assert {path.stem for path in EXAMPLES.glob("*.toml")} == set(EXAMPLE_OPTIONS)
    assert scripts == set(EXAMPLE_OPTIONS)


def test_every_part_of_the_format() -> None:
    found = parse_problem(
        """
        title = "All of it"
        exact = "t*y"

        [axes.x]
        nodes = [0, 0.1, 0.3, 0.6, 1]
        s = 1
        unit = "m"
        [axes.y]
        domain = [0, 1]
        elements = 20
        breaks = [0.5]
        [axes.k]
        domain = [1, 4]
        elements = 10
        kind = "parameter"
        s = 2
        [axes.t]
        domain = [0, 0.5]
        elements = 10
        kind = "time"
        grading = 2
        [axes.p]
        domain = [0, 1]
        elements = 12
        periodic = true

        [unknown]
        name = "w"
        axes = ["y", "t", "k"]

        [problem]
        weak = "v*dt(w) + k*dot(grad(v), grad(w)) - f*v"
        [problem.where]
        f = "g*indicator(y > h)"
        g = "exp(-y)"
        h = 0.5

        [[conditions]]
        on = ["y.end"]
        value = "t"
        [[conditions]]
        at = {t = 0}
        value = 0

        [solve]
        rank = 7
        tolerance = 1e-3
        seed = 3
        threads = 1
        method = "alternating"
        """
    )
    problem = found.problem
    assert [axis.name for axis in problem.axes] == ["y", "t", "k"]
    assert problem.axes[0].breaks == (0.5,)
    assert problem.axes[1].nodes[1] == pytest.approx(0.005)
    assert len(problem.operator) == 2
    assert problem.load[0].forms[0].weight is not None
    assert problem.load[0].forms[0].weight.breaks == (0.5,)
    assert [[str(face) for face in c.faces] for c in problem.conditions] == [["y.end"], ["t.start"]]
    assert found.solve == {"rank": 7, "tolerance": 1e-3, "seed": 3, "threads": 1, "method": "alternating"}
    assert found.exact is not None
    np.testing.assert_allclose(found.exact(np.array([[0.5, 0.25, 2.0]])), [0.125])


def test_families_stand_for_their_members() -> None:
    found = parse_problem(file(tail='[[conditions]]\non = ["x", "t.start"]\nvalue = 0\n[unknown]\naxes = ["t", "x"]'))
    assert [axis.name for axis in found.problem.axes] == ["t", "x[1]", "x[2]", "x[3]"]
    assert len(found.problem.conditions[0].faces) == 7


BAD_FILES = {
    "no TOML": ("title = ", "is no valid TOML"),
    "unknown table": (file() + "[solver]\n", r"unknown key 'solver' in the file; did you mean solve\?"),
    "no axes": ('[problem]\nstrong = "u"', r"the table \[axes\] is missing"),
    "empty axes": ('[axes]\n[problem]\nstrong = "u"', r"\[axes\] must name at least one axis"),
    "axes no table": ('axes = 3\n[problem]\nstrong = "u"', r"\[axes\] must be a table, got 3"),
    "axis no table": ('[axes]\nx = 3\n[problem]\nstrong = "u"', r"\[axes.x\] must be a table"),
    "axis key": (file(head="[axes.x]\ndomain=[0,1]\nelemnts=3"), r"'elemnts' in \[axes.x\]; did you mean elements"),
    "axis twice": (file(head=HEAD + '[axes."x[2]"]\ndomain=[0,1]\nelements=4'), r"axis x\[2\] is given twice"),
    "huge family": (file(head='[axes."x[1:999999999]"]\ndomain=[0,1]\nelements=4'), "a family must have 1 to 1000"),
    "empty family": (file(head='[axes."x[3:1]"]\ndomain=[0,1]\nelements=4'), "a family must have 1 to 1000"),
    "axis name": (file(head='[axes."a b"]\ndomain=[0,1]\nelements=4'), r"\[axes.'a b'\]: .*identifier"),
    "reserved name": (file(head="[axes.sin]\ndomain=[0,1]\nelements=4"), "sin has a meaning of its own"),
    "no domain": (file(head="[axes.x]\nelements=4"), r"\[axes.x\]: needs domain"),
    "domain": (file(head="[axes.x]\ndomain=[0]\nelements=4"), r"domain must be two numbers"),
    "domain text": (file(head='[axes.x]\ndomain=[0,"1"]\nelements=4'), r"\[axes.x\]: domain must be a number, got '1'"),
    "domain infinite": (file(head="[axes.x]\ndomain=[0,inf]\nelements=4"), r"domain must be a finite number"),
    "bad mesh": (file(head="[axes.x]\ndomain=[1,0]\nelements=4"), r"\[axes.x\]: "),
    "elements": (file(head="[axes.x]\ndomain=[0,1]\nelements=-4"), r"\[axes.x\]: .*elements"),
    "no problem": (HEAD, r"the table \[problem\] is missing"),
    "no form": (file("where = {}"), r"\[problem\] needs either weak or strong, got none"),
    "both forms": (file('weak="u*v"\nstrong="u"'), "needs either weak or strong, got weak and strong"),
    "form no text": (file("strong = 3"), r"\[problem\] strong must be a string or a list of them, got 3"),
    "problem key": (file('strnog = "u"'), "did you mean strong"),
    "bad form": (file('strong = "u +"'), r"\[problem\] strong.*invalid syntax"),
    "column": (file('strong = "dt(u) - lap(u)"'), r"\[problem\] strong, column 9: lap cannot be called"),
    "refused problem": (file('weak = "u**2*v"'), r"problem file: weak: the problem must be linear"),
    "no initial value": (file(tail=""), r"the time axis t needs an initial condition; add u.at\(t=0\) == value"),
    "idle parameter": (
        file(head=HEAD + '[axes.k]\ndomain=[1,2]\nelements=4\nkind="parameter"\n'),
        "the parameter axis k appears in no coefficient, source or given value",
    ),
    "no inflow": (
        file('strong = "dt(u) + diff(u, x[1])"'),
        r"u is carried along x\[1\] without diffusion, and nothing is given on x\[1\].start",
    ),
    "both ends of time": (
        file(tail=INITIAL + "[[conditions]]\nat = {t = 2}\nvalue = 0\n"),
        "contradict each other: u is given at both ends of the time axis t",
    ),
    "bad where": (file('strong="u"\nwhere={f="1/0"}'), r"\[problem.where\] f, column 1: division by zero"),
    "where circle": (
        file('strong="u*f"\nwhere={f="g+1",g="f+1"}'),
        r"\[problem.where\] f: the names f -> g -> f refer to each other in a circle",
    ),
    "where taken": (file('strong="u"\nwhere={t="1"}'), r"\[problem.where\] t: the name t is taken"),
    "where word": (file('strong="u"\nwhere={"a b"="1"}'), r"a name must be a word"),
    "where dunder": (file('strong="u"\nwhere={__f="1"}'), r"a name must be a word"),
    "where value": (file('strong="u"\nwhere={f={}}'), r"\[problem.where\] f must be a number, got \{\}"),
    "exact circle": ('exact="exact"\n' + file('strong="u"'), "exact -> exact refer to each other"),
    "title": ("title = 3\n" + file(), "title must be a string, got 3"),
    "unknown key": (file() + '[unknown]\nnmae="u"', "did you mean name"),
    "unknown name": (file() + '[unknown]\nname="v"', r"\[unknown\] name must be a word that is not taken"),
    "unknown axes": (file() + '[unknown]\naxes=["z"]', r"\[unknown\] axes: no axis is called 'z'"),
    "unknown axes text": (file() + '[unknown]\naxes="x"', "axes must be a list of names"),
    "condition list": ("conditions = 3\n" + file(tail=""), r"must be tables \[\[conditions\]\]"),
    "condition empty": (
        file(tail="[[conditions]]\nvalue=0"),
        r"conditions\[0\] needs a value and one of on, at and flux",
    ),
    "condition key": (file(tail='[[conditions]]\nonn="boundary"\nvalue=0'), "did you mean on"),
    "condition face": (
        file(tail='[[conditions]]\non=["x[1].left"]\nvalue=0'),
        r"conditions\[0\]: on: no axis is called",
    ),
    "condition on": (file(tail="[[conditions]]\non=3\nvalue=0"), r"on must be 'boundary', or a list"),
    "condition corner": (file(tail='[[conditions]]\nat={t=0, "x[1]"=0}\nvalue=0'), "is a part of a face"),
    "condition at": (file(tail="[[conditions]]\nat=0\nvalue=0"), "at must be a table such as"),
    "condition inside": (file(tail="[[conditions]]\nat={t=1}\nvalue=0"), "t must be an end of its axis, 0 or 2, got 1"),
    "condition value": (file(tail="[[conditions]]\nat={t=0}\nvalue=true"), r"conditions\[0\] value must be a number"),
    "condition nan": (file(tail="[[conditions]]\nat={t=0}\nvalue=nan"), "value must be a finite number"),
    "condition exact": (file(tail='[[conditions]]\nat={t=0}\nvalue="exact"'), "the file gives no exact"),
    "contradiction": (file(tail=INITIAL + '[[conditions]]\non="boundary"\nvalue=1'), "contradict each other"),
    "option": (file() + "[solve]\ntolerence=1e-3", "did you mean tolerance"),
    "tolerance": (file() + "[solve]\ntolerance=-1", r"\[solve\] tolerance must be a positive finite number"),
    "large tolerance": (file() + "[solve]\ntolerance=2", r"\[solve\] tolerance is a relative error and must be less"),
    "rank": (file() + "[solve]\nrank=2.5", r"\[solve\] rank must be a positive integer, got 2.5"),
    "method": (file() + "[solve]\nmethod=3", r"\[solve\] method must be"),
    "deep": ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply|no valid TOML"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused_by_name(name: str) -> None:
    text, message = BAD_FILES[name]
    with pytest.raises(ValueError, match=message) as caught:
        parse_problem(text)
    assert str(caught.value).startswith("problem file")


@pytest.mark.parametrize(
    ("strong", "message"),
    [
        ("dt(u) - laplacian(u) + exp(u)", r"got the term exp\(u\); .* PINN mode"),
        (
            "dt(u) - laplacian(u) + u*diff(u, x[1])",
            r"linear in the unknown u, got the term diff\(u, x\[1\]\)\*u\*v; nonlinear problems are for the PINN mode",
        ),
    ],
)
def test_nonlinear_strong_forms_are_stated_and_not_solved_as_linear_ones(strong: str, message: str) -> None:
    problem = parse_problem(file(f'strong = "{strong}"')).problem
    with pytest.raises(ValueError, match=f"{message}.*use inntd.pinn.solve"):
        it.solve(problem)


def test_names_that_double_one_another_are_bounded() -> None:
    """Sixty names of which each doubles the one before would make 2^60 nodes."""
    names = ['f0 = "sin(t)"', *(f'f{i} = "f{i - 1} + sin(f{i - 1})"' for i in range(1, 60))]
    begin = time.process_time()
    with pytest.raises(ValueError, match="the expressions of the file are too large"):
        parse_problem(file('strong = "dt(u) - f59"\n[problem.where]\n' + "\n".join(names)))
    assert time.process_time() - begin < 60


def test_names_that_nest_are_bounded() -> None:
    names = ['f0 = "t"', *(f'f{i} = "sin(f{i - 1})"' for i in range(1, 500))]
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_problem(file('strong = "dt(u) - f499"\n[problem.where]\n' + "\n".join(names)))


@pytest.mark.parametrize(
    "expression",
    [
        "dt(u) - prod(x[1] + x[2] + i for i in range(2000))",
        "dt(u) - prod(1 + x[1] + x[2]*i for i in range(200))",
        "dt(u) - (sum(x[i] for i in range(1, 4)) + t)**1000",
        "dt(u) - sin((x[1] + x[2] + x[3] + t)**900)",
        "dt(u) - indicator(((x[1]**1000)**1000)**1000 > 0.5)",
        "dt(u) - piecewise(" + ", ".join(f"(1, x[1] < {i} and x[2] < {i / 2})" for i in range(1, 60)) + ", (0, True))",
        "dt(u) - piecewise(" + ", ".join(f"(x[3]*{i}, x[1] + x[2] < {i / 9})" for i in range(1, 60)) + ", (0, True))",
        "dt(u) - piecewise("
        + ", ".join(f"({i}, x[1] < {i / 50} and x[2] < {i / 60} or t < x[1]*{i / 70})" for i in range(1, 50))
        + ", (0, True))",
        "dt(u) + " + "laplacian(" * 25 + "u" + ")" * 25,
        "dt(u) - " + "*".join(["(x[1]*x[2] + x[2]*x[3] + x[1]*x[3]*t)"] * 40),
    ],
)
def test_expressions_that_explode_are_refused_or_done_quickly(expression: str) -> None:
    begin = time.process_time()
    message = ""
    try:
        parse_problem(file(f'strong = "{expression}"'))
    except ValueError as error:
        message = str(error)
    assert message.startswith("problem file") or not message
    assert time.process_time() - begin < 60


def test_a_file_is_read_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "problem.toml"
    with pytest.raises(FileNotFoundError):
        read_problem(path)
    path.write_text(file(), encoding="utf-8")
    found = read_problem(str(path))
    assert found.path == path
    assert found.solve == {}
    path.write_text(file('strong = "u +"'))
    with pytest.raises(ValueError, match=r"problem.toml: \[problem\] strong"):
        read_problem(path)
    path.write_bytes(b'title = "\xff"')
    with pytest.raises(ValueError, match="must be UTF-8 text, got the byte 0xff"):
        read_problem(path)
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ValueError, match="may have 1000000 bytes"):
        read_problem(path)
