/// A way to merge models, as data over one core: sparsify the task vectors, elect signs, weight, normalise, scale.
public struct MergeMethod: Equatable, Sendable {
  /// As a recipe names it.
  public let name: String
  public let title: String
  /// The paper.
  public let reference: String
  /// Uses it unless a recipe says otherwise.
  public let normalizes: Bool
  public let rescale: Rescale
  let combination: Combination

  enum Combination: Equatable, Sendable {
    /// `base + lambda * sum(w d) / divisor` over task vectors `d = tuned - base`, each made sparse first. With `sign` -1 the tasks
    /// are taken away.
    case taskVectors(Sparsification?, electsSign: Bool, sign: Float)
    /// `sum(w x) / sum(w)` over the weights themselves.
    case linear
    /// From the base to one other model along the arc between them.
    case spherical
  }

  /// Which entries of a task vector stay, a share `density` of each tensor.
  enum Sparsification: Equatable, Sendable {
    /// The largest.
    case magnitude
    /// Each by a coin of its own.
    case random
    /// The largest, without the share `gamma` of the very largest.
    case breadcrumbs
    /// Each by a coin of its own that favours, within a row, the larger ones: from `density - epsilon` to `density + epsilon`.
    case magnitudeSampling
  }

  /// What makes up for dropped entries.
  public enum Rescale: String, Equatable, Sendable, CaseIterable {
    case none
    /// What is left gets the tensor's sum of magnitudes back.
    case norm
    /// Every entry is divided by the probability with which it stays.
    case probability
  }

  public static let all: [MergeMethod] = [
    MergeMethod(
      name: "linear", title: "Linear", reference: "Wortsman et al. 2022, Model soups, arXiv 2203.05482",
      normalizes: true, rescale: .none, combination: .linear),
    taskVectors(
      "task_arithmetic", "Task arithmetic",
      "Ilharco et al. 2023, Editing models with task arithmetic, arXiv 2212.04089"),
    taskVectors(
      "negation", "Task negation", "Ilharco et al. 2023, Editing models with task arithmetic, arXiv 2212.04089",
      sign: -1),
    taskVectors(
      "ties", "TIES", "Yadav et al. 2023, TIES-merging, arXiv 2306.01708", .magnitude, electsSign: true,
      normalizes: true),
    taskVectors(
      "dare_linear", "DARE", "Yu et al. 2024, Language models are super Mario, arXiv 2311.03099", .random,
      rescale: .norm),
    taskVectors(
      "dare_ties", "DARE with TIES", "Yu et al. 2024, Language models are super Mario, arXiv 2311.03099", .random,
      electsSign: true, rescale: .norm),
    taskVectors(
      "breadcrumbs", "Model breadcrumbs", "Davari and Belilovsky 2023, Model breadcrumbs, arXiv 2312.06795",
      .breadcrumbs),
    taskVectors(
      "breadcrumbs_ties", "Model breadcrumbs with TIES",
      "Davari and Belilovsky 2023, Model breadcrumbs, arXiv 2312.06795", .breadcrumbs, electsSign: true),
    taskVectors(
      "della", "DELLA", "Deep et al. 2024, DELLA-merging, arXiv 2406.11617", .magnitudeSampling, electsSign: true,
      normalizes: true, rescale: .norm),
    taskVectors(
      "della_linear", "DELLA without sign election", "Deep et al. 2024, DELLA-merging, arXiv 2406.11617",
      .magnitudeSampling, rescale: .norm),
    MergeMethod(
      name: "slerp", title: "SLERP", reference: "Shoemake 1985, Animating rotation with quaternion curves",
      normalizes: false, rescale: .none, combination: .spherical),
  ]

  private static func taskVectors(
    _ name: String, _ title: String, _ reference: String, _ sparsification: Sparsification? = nil,
    electsSign: Bool = false, normalizes: Bool = false, rescale: Rescale = .none, sign: Float = 1
  ) -> MergeMethod {
    MergeMethod(
      name: name, title: title, reference: reference, normalizes: normalizes, rescale: rescale,
      combination: .taskVectors(sparsification, electsSign: electsSign, sign: sign))
  }

  private init(
    name: String, title: String, reference: String, normalizes: Bool, rescale: Rescale, combination: Combination
  ) {
    self.name = name
    self.title = title
    self.reference = reference
    self.normalizes = normalizes
    self.rescale = rescale
    self.combination = combination
  }

  /// The method of that name, nil when there is none.
  public init?(name: String) {
    guard let known = Self.all.first(where: { $0.name == name }) else { return nil }
    self = known
  }

  /// Whether it is about task vectors, and so needs a base.
  public var needsBase: Bool { combination != .linear }

  /// Why tickets do not merge into a ticket, nil where they do.
  public func obstacleToSparse(normalizes: Bool) -> String? {
    switch combination {
    case .taskVectors: nil
    case .spherical: "slerp changes every weight"
    case .linear: normalizes ? nil : "linear without normalize changes every weight"
    }
  }

  var sparsification: Sparsification? {
    if case .taskVectors(let sparsification, _, _) = combination { sparsification } else { nil }
  }

  /// Parameters it takes for each input.
  var inputParameters: Set<String> {
    switch combination {
    case .linear: ["weight"]
    case .spherical: []
    case .taskVectors(let sparsification, _, _):
      switch sparsification {
      case nil: ["weight"]
      case .magnitude, .random: ["weight", "density"]
      case .breadcrumbs: ["weight", "density", "gamma"]
      case .magnitudeSampling: ["weight", "density", "epsilon"]
      }
    }
  }

  /// Parameters it takes once, beside defaults for those of the inputs.
  var sharedParameters: Set<String> {
    switch combination {
    case .linear: ["normalize"]
    case .spherical: ["t"]
    case .taskVectors(let sparsification, _, _):
      sparsification == nil ? ["normalize", "lambda"] : ["normalize", "lambda", "rescale"]
    }
  }
}
