import Adaptation
import Checkpoints
import Decoder
import Testing

/// Memory budgets and estimates, from a configuration alone.
struct TrainingPlanTests {
  /// SmolLM2-135M's shape.
  private static func model(tied: Bool = true, window: Int? = nil) throws -> ModelConfiguration {
    try ModelConfiguration(
      family: .llama, vocabularySize: 49152, hiddenSize: 576, intermediateSize: 1536, layerCount: 30, headCount: 9,
      keyValueHeadCount: 3, slidingWindow: window, tiesEmbeddings: tied)
  }

  private static func run(_ change: (inout RunConfiguration) -> Void = { _ in }) -> RunConfiguration {
    var run = RunConfiguration(model: "model", data: "rows")
    run.training.length = .epochs(1)
    change(&run)
    return run
  }

  private static let rows = (0..<100).map { RowSize(tokens: 100 + 3 * $0, labels: 60 + $0) }

  private func plan(_ run: RunConfiguration) throws -> TrainingPlan {
    try TrainingPlan(run, model: try Self.model(), rows: Self.rows, rate: nil)
  }

  @Test(arguments: TrainingMethod.allCases, ActivationPolicy.allCases)
  func largerBudgetsNeverMakeSmallerMicroBatches(_ method: TrainingMethod, _ activations: ActivationPolicy) throws {
    var previous = 0
    var choices: Set<Int> = []
    for budget in stride(from: 2_700_000_000, through: 9_000_000_000, by: 100_000_000) {
      let plan = try plan(
        Self.run {
          $0.method = method
          $0.training.activations = activations
          $0.memoryBudget = budget
        })
      #expect(Double(plan.memory.peakBytes) <= 0.97 * Double(budget))
      #expect(plan.passTokens >= previous, "\(plan.passTokens) tokens in \(budget) bytes, \(previous) in less")
      previous = plan.passTokens
      choices.insert(plan.passTokens)
    }
    #expect(choices.count > (activations == .keep ? 10 : 0))
  }

  @Test func budgetTooSmallForOneRowSaysWhatIsNeeded() throws {
    let run = Self.run {
      $0.method = .fft
      $0.memoryBudget = 1_000_000_000
    }
    let error = #expect(throws: MemoryBudgetError.self) { try plan(run) }
    let needed = try #require(error)
    #expect(needed.longest == 397 && needed.phase == "training" && needed.needed > needed.withRecomputation ?? .max)
    #expect("\(needed)".contains("1.00 GB is too small") && "\(needed)".contains("even --recompute needs"))
    let enough = try plan(
      Self.run {
        $0.method = .fft
        $0.memoryBudget = needed.needed
      })
    #expect(enough.memory.peakBytes <= needed.needed && enough.passTokens < 400)
  }

  @Test func phasesFollowTheMethod() throws {
    #expect(try plan(Self.run()).memory.phases.map(\.name) == ["loading", "calibration", "extraction", "adaptation"])
    #expect(try plan(Self.run { $0.method = .fft }).memory.phases.map(\.name) == ["loading", "training"])
    #expect(try plan(Self.run { $0.mask = "m" }).memory.phases.map(\.name) == ["loading", "adaptation"])
    #expect(
      try plan(Self.run { $0.calibration = .steps(0) }).memory.phases.map(\.name) == [
        "loading", "extraction", "adaptation",
      ])
    #expect(try plan(Self.run()).phases.map(\.steps) == [4, 4])
  }

  /// Sparser tickets, cheaper optimizers and recomputation need less; half precision halves the weights.
  @Test func memoryFollowsTheSettings() throws {
    func peak(_ change: (inout RunConfiguration) -> Void) throws -> Int { try plan(Self.run(change)).memory.peakBytes }
    let dense = try peak { $0.method = .fft }
    #expect(try peak { $0.mask = "m" } < dense)
    #expect(
      try peak {
        $0.mask = "m"
        $0.sparsity = 0.99
      } < peak { $0.mask = "m" })
    #expect(
      try peak {
        $0.method = .fft
        $0.training.optimizer = .adamW()
      } - dense == 134_515_008 * 4)
    #expect(
      try peak {
        $0.method = .fft
        $0.training.activations = .recompute
      } < dense / 2)
    let weights = try plan(
      Self.run {
        $0.device = "cuda"
        $0.dtype = "bfloat16"
      }
    ).memory.phases[0].parts.first { $0.name == "weights" }
    #expect(weights?.bytes == 134_515_008 * 2)
  }

  /// Worked out by hand for one row of 4 tokens with 2 labels.
  @Test func operationsAreCounted() throws {
    let model = try ModelConfiguration(
      family: .llama, vocabularySize: 10, hiddenSize: 4, intermediateSize: 6, layerCount: 2, headCount: 2,
      keyValueHeadCount: 1, tiesEmbeddings: true)
    var work = StepWork()
    work.add(RowSize(tokens: 4, labels: 2), window: nil)
    #expect(work.pairs == 10)
    // A layer: q 16, k 8, v 8, o 16, gate, up, down 24 each: 120. 16 a token and weight, 96 a pair, 160 a label.
    let frozen: Double = 3840 + 960 + 320
    #expect(try work.operations(model, activations: .keep) { _ in false } == frozen)
    // The weights' gradients: 8 a token and weight, 80 a label.
    let trained: Double = frozen + 1920 + 160
    #expect(try work.operations(model, activations: .keep) { _ in true } == trained)
    #expect(try work.operations(model, weightShare: 0.25) { _ in true } == frozen + 480 + 160)
    // One of two layers again, but for its down projection: 8 a weight, 16 a pair.
    let recomputed: Double = frozen + 768 + 160
    #expect(try work.operations(model, activations: .recompute) { _ in false } == recomputed)
    #expect(try work.forwardOperations(model) == 1920 + 320 + 160)
    #expect(try work.forwardOperations(model, lowRankCount: 3) == 1920 + 320 + 160 + 24)
    var windowed = StepWork()
    windowed.add(RowSize(tokens: 4, labels: 2), window: 2)
    #expect(windowed.pairs == 7)
  }

  /// 100 rows, one epoch: 13 steps of 8, scored after 5, 10 and 13.
  @Test func validationIsPlanned() throws {
    let run = Self.run {
      $0.training.batchSize = 8
      $0.validation.every = 5
    }
    let held = [[RowSize](repeating: RowSize(tokens: 1000, labels: 500), count: 7), [RowSize(tokens: 3000, labels: 9)]]
    let plan = try TrainingPlan(
      run, model: try Self.model(), rows: Self.rows, validation: held, rate: ComputeRate(operationsPerSecond: 1e12))
    let without = try TrainingPlan(
      run, model: try Self.model(), rows: Self.rows, rate: ComputeRate(operationsPerSecond: 1e12))
    let validation = try #require(plan.validation)
    #expect(validation.scores == 3 && validation.rows == 8 && validation.tokens == 30_000)
    #expect(without.validation == nil)
    let seconds = try #require(plan.seconds) - (try #require(without.seconds))
    #expect(abs(seconds - (try #require(validation.seconds))) < 1e-9 * seconds && seconds > 0)
    // Of 7000 tokens four rows at once, then three; the other file's row by itself.
    let pass = ScoringPass(held, maximumTokens: 4096)
    #expect(pass.tokens == 4000 && pass.labels == 2000 && pass.shapes == 2)
    #expect(plan.memory.peakBytes >= without.memory.peakBytes)
  }

  @Test func timeFollowsTheRate() throws {
    let model = try Self.model()
    let fast = try TrainingPlan(Self.run(), model: model, rows: Self.rows, rate: ComputeRate(operationsPerSecond: 2e12))
    let slow = try TrainingPlan(Self.run(), model: model, rows: Self.rows, rate: ComputeRate(operationsPerSecond: 1e12))
    let seconds = try #require(fast.seconds)
    #expect(abs((slow.seconds ?? 0) - 2 * seconds) < 1e-9 * seconds)
    #expect(fast.phases[0].operations > fast.phases[1].operations)
    #expect(try plan(Self.run()).seconds == nil)
  }
}
