internal import Foundation
internal import Primitives

/// Preference with the effect of length taken out: p = sigma(theta + phi tanh(d / s)), where d is how much longer the answer is
/// than the reference and s the standard deviation of d; the figure is sigma(theta), the preference at equal length.
///
/// After Dubois, Galambosi, Liang and Hashimoto (2024), "Length-Controlled AlpacaEval", without their term for how hard an
/// instruction is. Fitted by Newton's method with a penalty of 0.005 (theta^2 + phi^2), so that a side that wins every time
/// has a finite fit.
enum LengthControl {
  static let ridge = 0.01
  static let resamples = 1000

  struct Fit: Equatable {
    var theta = 0.0
    var phi = 0.0

    var preference: Double { LengthControl.sigmoid(theta) }
  }

  struct Estimate: Equatable {
    let value: Double
    let low: Double
    let high: Double
    let phi: Double
  }

  /// - Parameters:
  ///   - preferences: for the answer, 0 to 1.
  ///   - differences: of length, answer less reference.
  static func estimate(preferences: [Double], differences: [Double], seed: UInt64) -> Estimate {
    precondition(preferences.count == differences.count, "\(preferences.count) and \(differences.count) pairs")
    let terms = Self.terms(differences)
    let fit = fit(preferences, terms)
    guard preferences.count > 1 else {
      return Estimate(value: fit.preference, low: fit.preference, high: fit.preference, phi: fit.phi)
    }
    var random = RandomStream(seed: seed, purpose: "length-control")
    var values = (0..<resamples).map { _ -> Double in
      let drawn = preferences.indices.map { _ in random.below(preferences.count) }
      return Self.fit(drawn.map { preferences[$0] }, drawn.map { terms[$0] }, from: fit).preference
    }
    values.sort()
    func percentile(_ share: Double) -> Double {
      values[min(values.count - 1, max(0, Int((share * Double(values.count - 1)).rounded())))]
    }
    return Estimate(value: fit.preference, low: percentile(0.025), high: percentile(0.975), phi: fit.phi)
  }

  /// tanh(d / s); zeros when all differences are the same, whose effect cannot be told from the preference.
  static func terms(_ differences: [Double]) -> [Double] {
    let n = Double(max(1, differences.count))
    let mean = differences.reduce(0, +) / n
    let deviation = (differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n).squareRoot()
    return differences.map { deviation > 0 ? tanh($0 / deviation) : 0 }
  }

  static func fit(_ preferences: [Double], _ terms: [Double], from start: Fit = Fit()) -> Fit {
    var fit = start
    var loss = Self.loss(fit, preferences, terms)
    for _ in 0..<100 {
      var (g0, g1) = (ridge * fit.theta, ridge * fit.phi)
      var (h00, h01, h11) = (ridge, 0.0, ridge)
      for (y, x) in zip(preferences, terms) {
        let p = sigmoid(fit.theta + fit.phi * x)
        let weight = p * (1 - p)
        g0 += p - y
        g1 += (p - y) * x
        h00 += weight
        h01 += weight * x
        h11 += weight * x * x
      }
      let determinant = h00 * h11 - h01 * h01
      let step = ((h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant)
      var scale = 1.0
      var next = fit
      var nextLoss = loss
      // The loss is convex: half a step is enough, however far a whole one goes.
      repeat {
        next = Fit(theta: fit.theta - scale * step.0, phi: fit.phi - scale * step.1)
        nextLoss = Self.loss(next, preferences, terms)
        scale /= 2
      } while nextLoss > loss && scale > 1e-6
      guard nextLoss < loss else { return fit }
      let gain = loss - nextLoss
      (fit, loss) = (next, nextLoss)
      if gain < 1e-13 * (1 + loss) { return fit }
    }
    return fit
  }

  private static func loss(_ fit: Fit, _ preferences: [Double], _ terms: [Double]) -> Double {
    zip(preferences, terms).reduce(ridge / 2 * (fit.theta * fit.theta + fit.phi * fit.phi)) { sum, pair in
      let z = fit.theta + fit.phi * pair.1
      // -y log p - (1 - y) log(1 - p), without overflow.
      return sum + max(z, 0) - pair.0 * z + log1p(exp(-abs(z)))
    }
  }

  private static func sigmoid(_ z: Double) -> Double { z >= 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z)) }
}
