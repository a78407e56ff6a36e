"""The integer front end against the definition in floating point, its parameters, and the folder of C."""

import json
import shutil
import subprocess

import numpy as np
import pytest
import scipy.fft

from lamella import boards, cli, features
from lamella.errors import UsageError
from lamella.mfcc import SCALE, ZERO_POINT, Mfcc, integer
from lamella.mfcc.tables import ENERGY_BITS, tables
from lamella.trainer.data.fsdd import FRONT_END

DECIBEL = 10 * np.log10(2)  # of a doubled energy


def float_energies(p: Mfcc, samples: np.ndarray) -> np.ndarray:
    """Energies of the filters (steps, filters), floor included, written out in float64 after the definition."""
    hann = np.hanning(p.frame + 1)[:-1]
    starts = range(0, len(samples) - p.frame + 1, p.hop)
    power = np.array([np.abs(np.fft.rfft(samples[k : k + p.frame] / 32768 * hann)) ** 2 / p.frame for k in starts])
    mel = np.linspace(*(2595 * np.log10(1 + np.array([p.low, p.high]) / 700)), p.filters + 2)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    filters = [np.interp(np.fft.rfftfreq(p.frame, 1 / p.rate), hertz[k : k + 3], [0, 1, 0]) for k in range(p.filters)]
    return power @ np.array(filters).T + p.floor


def float_coefficients(p: Mfcc, samples: np.ndarray) -> np.ndarray:
    """Normalised coefficients (steps, coefficients) in float64, uncut."""
    logs = np.log(float_energies(p, samples) / p.floor)
    return (scipy.fft.dct(logs, norm="ortho")[:, : p.coefficients] - p.mean) / p.deviation


def recordings() -> dict[str, np.ndarray]:
    """int16 signals, half a second each."""
    rng, n = np.random.default_rng(0), np.arange(4000)
    vowel = sum(np.sin(2 * np.pi * 120 * k * n / 8000) / (1 + ((120 * k - 700) / 150) ** 2) for k in range(1, 30))
    found = {f"noise {level}": rng.normal(0, level, len(n)) for level in (1, 20, 300, 3000)}
    found |= {"vowel": 6000 * vowel, "soft vowel": 60 * vowel, "rising": 20000 * n / 4000 * np.sin(n**2 / 6000)}
    found |= {"full scale": 32767 * np.sin(0.7 * n), "square": np.where(n // 7 % 2, 32767, -32768)}
    return {name: np.rint(values).clip(-32768, 32767).astype(np.int16) for name, values in found.items()}


@pytest.mark.parametrize("name", recordings())
def test_energies_are_those_of_the_definition(name):
    """Within 0.05 dB where a filter holds a ten-thousandth of the frame's loudest one or more, 0.1 dB down to a millionth,
    1 dB below that, where amplitudes have their last bits. The worst of these signals: 0.026, 0.069 and 0.79 dB."""
    samples = recordings()[name]
    exact = float_energies(FRONT_END, samples)
    found = DECIBEL * integer.log_energies(FRONT_END, samples) / 2**ENERGY_BITS
    error = np.abs(found - 10 * np.log10(exact / FRONT_END.floor))
    share = exact / exact.max(axis=1, keepdims=True)
    for least, tolerance in ((1e-4, 0.05), (1e-6, 0.1), (0, 1.0)):
        assert error[share >= least].max() < tolerance


@pytest.mark.parametrize("name", recordings())
def test_features_are_those_of_the_definition(name):
    """Less than a step of the 8 bits from the exact value, where rounding alone makes half a step; less than five steps for
    waves of full scale, whose quiet filters are up to 0.8 dB off."""
    samples = recordings()[name]
    exact = float_coefficients(FRONT_END, samples) / SCALE + ZERO_POINT
    difference = np.abs(integer.features(FRONT_END, samples) - exact.clip(0, 255))
    assert difference.max() < (5.0 if name in ("full scale", "square") else 1.0)
    assert difference.mean() < 0.4  # 0.25 is rounding alone


def test_spectrum_is_fouriers():
    """Twice the spectrum, 5 fraction bits: 100 dB below the largest line for every frame length."""
    rng = np.random.default_rng(1)
    for log2_frame in range(5, 12):
        frame = 2**log2_frame
        p = Mfcc(frame=frame, hop=frame, filters=2 if frame < 1024 else 12, coefficients=1)
        frames = rng.integers(-32768, 32768, (20, frame)).astype(np.int16)
        expected = np.fft.rfft(frames * np.hanning(frame + 1)[:-1])[:, 1:-1] * 2 * 2.0 ** (13 - log2_frame)
        re, im = integer.spectrum(p, frames)
        error = np.abs(re[:, 1:] + 1j * im[:, 1:] - expected).max()
        assert error < 1e-4 * np.abs(expected).max()
        assert max(np.abs(re).max(), np.abs(im).max()) < 2**29


def test_silence_is_the_floor_and_a_tone_is_heard_by_its_filter():
    assert not integer.log_energies(FRONT_END, np.zeros(256, np.int16)).any()
    centres = FRONT_END.corners()[1:-1]
    for k, frequency in enumerate(centres):
        tone = np.rint(8000 * np.sin(2 * np.pi * frequency / 8000 * np.arange(256))).astype(np.int16)
        assert abs(int(integer.log_energies(FRONT_END, tone)[0].argmax()) - k) <= 1


def test_recordings_together_are_those_one_by_one():
    rng = np.random.default_rng(2)
    samples = rng.integers(-3000, 3000, (2, 3, 700)).astype(np.int16)
    together = integer.features(FRONT_END, samples)
    assert together.shape == (2, 3, 3, 13) and together.dtype == np.uint8
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(together[index], integer.features(FRONT_END, samples[index]))
    with pytest.raises(ValueError, match="float64"):
        integer.features(FRONT_END, np.zeros(256))
    with pytest.raises(ValueError, match="a frame of 256"):
        integer.features(FRONT_END, np.zeros(255, np.int16))


def test_tables_are_small_and_their_sums_fit_32_bits():
    for p in (FRONT_END, Mfcc(), Mfcc(rate=16000, frame=512, hop=320, filters=40, coefficients=40, high=8000.0)):
        t = tables(p)
        rows = np.abs(np.concatenate([t.cosine, t.cosine], axis=1)).sum(axis=1)
        loudest = integer.log_energies(p, np.resize(np.int16([32767, 32767, -32768, -32768]), p.frame)).max()
        assert loudest > 15 * 2**ENERGY_BITS
        # Twice the loudest square wave's logarithm: 10^4.5 times the largest energy there is.
        assert (rows * 2 * loudest + np.abs(t.offset)).max() < 2**31
        assert t.cosine.max() < 2**15 and t.rising.min() >= 0 and t.rising.max() < 2**t.weight_bits
        assert 65535 * t.bins.max() * 2**t.weight_bits < 2**32
    assert sum(array.values.size for array in features.cdata.arrays(features.describe(FRONT_END))) < 500


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"frame": 200}, "frame = 200 .* one of 32, 64"),
        ({"hop": 0}, "hop = 0"),
        ({"hop": 300}, "hop = 300"),
        ({"filters": 13}, "filters = 13 .* even"),
        ({"coefficients": 25}, "coefficients = 25"),
        ({"high": 5000.0}, "high = 5000 .* half the rate"),
        ({"floor": 0.0}, "floor = 0"),
        ({"floor": 0.1}, "floor = 0.1"),
        ({"mean": (0.0,)}, "1 and 0 values"),
        ({"mean": (0.0,) * 13, "deviation": (0.0,) * 13}, "deviations 0.01 or more"),
        ({"mean": (float("nan"),) * 13, "deviation": (1.0,) * 13}, "finite"),
        ({"filters": 40, "frame": 64, "hop": 64}, "filter 2 has no bin .* fewer filters"),
    ],
)
def test_impossible_parameters_are_refused_by_name(fields, words):
    with pytest.raises(UsageError, match=f"MFCC: .*{words}"):
        Mfcc(**fields)


def test_filters_of_too_many_bins_are_refused():
    with pytest.raises(UsageError, match="273 bins lie between two corners.*more filters"):
        tables(Mfcc(frame=1024, filters=2, coefficients=1))


def test_a_mean_that_no_integer_holds_is_refused():
    with pytest.raises(UsageError, match="mean is too large"):
        tables(Mfcc(mean=(1e9,) * 13, deviation=(0.01,) * 13))


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_folder_builds_alone_and_its_self_test_fails_if_a_table_is_wrong(tmp_path):
    out = tmp_path / "digits"
    assert cli.main(["features", "fsdd", "--out", str(out), "--name", "digits", "--quiet"]) == 0

    def outcome(build: str) -> int:
        for step in (["-S", str(out), "-B", str(tmp_path / build)], ["--build", str(tmp_path / build)]):
            subprocess.run(["cmake", *step], check=True, stdout=subprocess.DEVNULL)
        return subprocess.run([tmp_path / build / "digits_features_selftest"]).returncode

    assert outcome("good") == 0
    tables_c = out / "digits_features.c"
    assert "32138" in tables_c.read_text()
    tables_c.write_text(tables_c.read_text().replace("32138", "30138"))
    assert outcome("bad") == 1


def test_folder_is_the_same_every_time_and_replaces_only_its_own(tmp_path):
    assert features.folder(FRONT_END, "a_features") == features.folder(FRONT_END, "a_features")
    out = tmp_path / "out"
    for _ in range(2):
        assert cli.main(["features", "fsdd", "--out", str(out), "--quiet"]) == 0
    (out / "mine.txt").write_text("")
    assert cli.main(["features", "fsdd", "--out", str(out), "--quiet"]) == 2


def test_command_compares_and_measures(tmp_path, capsys):
    path = tmp_path / "found.json"
    assert cli.main(["features", "fsdd", "--board", "host", "--json", str(path)]) == 0
    (entry,) = json.loads(path.read_text())["boards"]
    assert entry["bit_exact"] and entry["steps"] == 64 and entry["ram"]["scratch"] == 1024
    assert 500 < entry["flash"]["tables"] < 1000
    assert "host" in capsys.readouterr().out


def test_a_board_that_computes_otherwise_is_an_error(monkeypatch):
    honest = features.run

    def off_by_one(*args):
        outcome = honest(*args)
        return features.Outcome(outcome.features ^ 1, None, None, 0, 0)

    monkeypatch.setattr(features, "run", off_by_one)
    assert cli.main(["features", "fsdd", "--board", "host", "--quiet"]) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fsdd"], "nothing to do"),
        (["mnist", "--out", "x"], "no FRONT_END"),
        (["fsd", "--out", "x"], "did you mean"),
        (["nowhere:P", "--out", "x"], "cannot be imported"),
        (["lamella.mfcc:Mfcc", "--out", "x"], "no Mfcc that is"),
        (["fsdd", "--board", "nucleo_f446re"], "nothing here can run it"),
    ],
)
def test_command_refuses_with_one_message(arguments, words, capsys):
    assert cli.main(["features", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_clean_under_the_sanitizers():
    """The whole program, harness included; tests/runtime_c has the same for random signals."""
    samples = np.concatenate([np.full(1600, -32768, np.int16), features.noise(FRONT_END, 20)])
    outcome = features.run(FRONT_END, boards.load("host"), samples, sanitize=True)
    np.testing.assert_array_equal(outcome.features, features.stream(FRONT_END, samples))
