import Evaluation
import Primitives
import TestSupport
import Testing

struct StatisticsTests {
  /// Sums of binomial coefficients: 2 (1 + 10 + 45) / 1024 for 2 of 10, and so on.
  @Test(arguments: [
    (2, 8, 112.0 / 1024), (0, 5, 2.0 / 32), (5, 5, 1.0), (0, 0, 1.0), (1, 0, 1.0), (3, 12, 1152.0 / 32768),
    (0, 1100, 0.0),
  ])
  func mcNemar(onlyFirst: Int, onlySecond: Int, expected: Double) {
    expectClose(McNemarTest.exact(onlyFirst: onlyFirst, onlySecond: onlySecond), expected, absolute: 1e-13)
    #expect(
      McNemarTest.exact(onlyFirst: onlySecond, onlySecond: onlyFirst)
        == McNemarTest.exact(onlyFirst: onlyFirst, onlySecond: onlySecond))
  }

  /// Of two values 0 and 1, a quarter of the resamples has the mean 0, a quarter 1.
  @Test func bootstrapOfTwo() {
    let estimate = Bootstrap(resamples: 4000, seed: 3).mean(of: [0, 1], weights: [1, 1])
    #expect(estimate.value == 0.5 && estimate.low == 0 && estimate.high == 1)
  }

  /// The mean's standard error is sqrt(1/12/n) for evenly spread values.
  @Test func bootstrapWidth() {
    let values = (0..<400).map { (Double($0) + 0.5) / 400 }
    let ones = values.map { _ in 1.0 }
    let estimate = Bootstrap(resamples: 20_000, seed: 1).mean(of: values, weights: ones)
    let half = 1.959964 * (1.0 / 12 / 400).squareRoot()
    expectClose([estimate.value, estimate.low, estimate.high], [0.5, 0.5 - half, 0.5 + half], absolute: 0.0015)
    #expect(
      Bootstrap(resamples: 50, seed: 1).mean(of: values, weights: ones).low
        == Bootstrap(resamples: 50, seed: 1).mean(of: values, weights: ones).low)
    #expect(
      Bootstrap(resamples: 50, seed: 1).mean(of: values, weights: ones).low
        != Bootstrap(resamples: 50, seed: 2).mean(of: values, weights: ones).low)
  }

  @Test func weights() {
    #expect(Bootstrap(resamples: 10).mean(of: [1, 5], weights: [3, 1]).value == 2)
    #expect(Bootstrap(resamples: 10).mean(of: [], weights: []).value == 0)
    let difference = Bootstrap(resamples: 100).difference(first: [1, 2, 3], second: [2, 3, 4])
    #expect(difference.value == 1 && difference.low == 1 && difference.high == 1)
    expectClose(difference.p, 2.0 / 101, absolute: 1e-15)
  }

  @Test func choices() {
    let (logprobs, tokens, bytes) = ([-4.0, -6, -4], [1, 3, 1], [2, 2, 8])
    #expect(ChoiceRule.sum.preferred(logprobs: logprobs, tokenCounts: tokens, byteCounts: bytes) == 0)
    #expect(ChoiceRule.perToken.preferred(logprobs: logprobs, tokenCounts: tokens, byteCounts: bytes) == 1)
    #expect(ChoiceRule.perByte.preferred(logprobs: logprobs, tokenCounts: tokens, byteCounts: bytes) == 2)
    #expect(ChoiceRule.sum.preferred(logprobs: [], tokenCounts: [], byteCounts: []) == nil)
  }
}
