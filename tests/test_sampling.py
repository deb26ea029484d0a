"""What temperature, top-k, top-p and skipped tokens leave of a distribution."""

import numpy as np
import pytest

from rnn_xp.errors import NonFiniteError
from rnn_xp.sampling import BLOCK, Sampling


class TestSampling:
    scores = np.log([[0.4, 0.1, 0.3, 0.2], [0.1, 0.2, 0.3, 0.4]])

    def kept(self, **settings):
        return [set(np.flatnonzero(row)) for row in Sampling(**settings).probabilities(self.scores)]

    def test_top_k_keeps_the_highest(self):
        assert self.kept(top_k=1) == [{0}, {3}]
        assert self.kept(top_k=3) == [{0, 2, 3}, {1, 2, 3}]
        assert self.kept(top_k=4) == self.kept(top_k=99) == [{0, 1, 2, 3}] * 2

    def test_top_p_keeps_the_fewest_that_reach_it(self):
        assert self.kept(top_p=0.39) == [{0}, {3}]
        assert self.kept(top_p=0.41) == [{0, 2}, {2, 3}]
        assert self.kept(top_p=0.75) == [{0, 2, 3}, {1, 2, 3}]
        assert self.kept(top_p=1.0) == [{0, 1, 2, 3}] * 2

    def test_top_p_counts_what_top_k_left(self):
        assert self.kept(top_k=2, top_p=0.5) == [{0}, {3}]  # 0.4 / 0.7 reaches 0.5
        assert self.kept(top_k=2, top_p=0.6) == [{0, 2}, {2, 3}]

    def test_what_is_kept_is_renormalised(self):
        p = Sampling(top_k=2).probabilities(self.scores)
        np.testing.assert_allclose(p[0], [4 / 7, 0, 3 / 7, 0])
        p = Sampling(top_p=0.85, skip_ids=(0,)).probabilities(self.scores)
        np.testing.assert_allclose(p[1], [0, 2 / 9, 3 / 9, 4 / 9])

    def test_temperature_is_a_power_of_the_probabilities(self):
        p = Sampling(temperature=0.5).probabilities(self.scores)[0]
        np.testing.assert_allclose(p, np.array([16, 1, 9, 4]) / 30)

    def test_ties_go_to_the_lower_ids(self):
        tied = np.zeros((1, 5))
        assert np.flatnonzero(Sampling(top_k=2).probabilities(tied)).tolist() == [0, 1]
        assert np.flatnonzero(Sampling(top_p=0.5).probabilities(tied)).tolist() == [0, 1, 2]
        assert Sampling(greedy=True).choose(tied, None) == [0]
        assert Sampling(greedy=True, skip_ids=(0,)).choose(tied, None) == [1]
        mixed = np.array([[1.0, 2.0, 1.0, 2.0, 1.0]])
        assert np.flatnonzero(Sampling(top_k=3).probabilities(mixed)).tolist() == [0, 1, 3]

    def test_no_draw_falls_on_a_token_without_probability(self):
        scores = np.log(np.array([[1e-300, 0.3, 0.7, 1e-300]]))
        sampling = Sampling(skip_ids=(0, 3))
        for uniform in (0.0, np.nextafter(0.3, 0), np.nextafter(1.0, 0)):
            assert sampling.choose(scores, np.array([uniform]))[0] in (1, 2)
        assert sampling.choose(scores, np.array([0.0])) == [1]
        assert sampling.choose(scores, np.array([np.nextafter(1.0, 0)])) == [2]

    def test_no_draw_between_two_blocks_falls_on_a_skipped_token(self):
        skipped = tuple(range(0, 3 * BLOCK + 1, BLOCK))
        sampling = Sampling(skip_ids=skipped)
        for seed in range(50):
            scores = np.random.default_rng(seed).normal(size=(1, 3 * BLOCK + 16)) * 3
            sums = np.add.reduceat(sampling.probabilities(scores)[0], skipped)
            for edge in np.cumsum(sums)[:-1] / sums.sum():
                for uniform in (np.nextafter(edge, 0), edge, np.nextafter(edge, 1)):
                    assert sampling.choose(scores, np.array([uniform]))[0] not in skipped

    def test_rows_are_drawn_each_by_itself(self):
        rng = np.random.default_rng(0)
        for V in (5, BLOCK, BLOCK + 1, 3 * BLOCK):
            scores, uniforms = rng.normal(size=(40, V)) * 3, rng.random(40)
            ids = Sampling().choose(scores, uniforms)
            for row in range(40):
                probabilities = Sampling().probabilities(scores[row : row + 1])[0]
                running = np.concatenate([[0.0], np.cumsum(probabilities)])
                assert running[ids[row]] - 1e-12 <= uniforms[row] <= running[ids[row] + 1] + 1e-12
                assert Sampling().choose(scores[row : row + 1], uniforms[row : row + 1]) == ids[row]

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_scores_that_are_not_finite_are_an_error(self, bad):
        with pytest.raises(NonFiniteError, match="not finite"):
            Sampling().choose(np.array([[0.0, bad]]), np.array([0.5]))

    @pytest.mark.parametrize(
        "settings",
        [
            {"temperature": -0.1},
            {"temperature": float("nan")},
            {"temperature": float("inf")},
            {"top_k": 0},
            {"top_k": 2.5},
            {"top_k": "3"},
            {"top_p": 0.0},
            {"top_p": 1.5},
            {"top_p": float("nan")},
        ],
    )
    def test_settings_out_of_range(self, settings):
        (name,) = settings
        with pytest.raises(ValueError, match=f"{name} is .*, expected"):
            Sampling(**settings)
