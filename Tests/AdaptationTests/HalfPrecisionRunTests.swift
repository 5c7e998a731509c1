import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Whole runs from a base stored in bfloat16, computed in float32 and in bfloat16.
@Suite(.engine) struct HalfPrecisionRunTests {
  static let computeTypes = [nil, "bfloat16"]

  private let goldens: TrainingGoldens
  private let directory: TemporaryDirectory
  private let base: String

  init() throws {
    goldens = try TrainingGoldens()
    directory = try TemporaryDirectory()
    base = directory("base")
    try Self.writeBFloat16Copy(of: goldens.model, to: base)
  }

  /// The same model, weights rounded to the nearest bfloat16.
  static func writeBFloat16Copy(of source: String, to path: String) throws {
    try FileManager.default.copyItem(atPath: source, toPath: path)
    let wide = try LanguageModel(directory: source)
    let writer = try SafetensorsWriter(
      path: FileSystem.join(path, "model.safetensors"),
      tensors: try wide.parameters.map { try TensorDescription(name: $0.name, dtype: .bfloat16, shape: $0.shape) },
      metadata: ["format": "pt"])
    for parameter in wide.parameters {
      try parameter.value.converted(to: .bfloat16).withBytes { try writer.append(UnsafeRawBufferPointer($0)) }
    }
    try writer.finish()
    let configuration = FileSystem.join(path, "config.json")
    let text = try String(contentsOfFile: configuration, encoding: .utf8)
    try FileSystem.writeAtomically(
      text.replacingOccurrences(of: #""dtype": "float32""#, with: #""dtype": "bfloat16""#), to: configuration)
  }

  private func run(_ computeType: String?, _ change: (inout RunConfiguration) -> Void = { _ in }) throws -> SmallRun {
    try SmallRun {
      $0.model = base
      $0.dtype = computeType
      change(&$0)
    }
  }

  /// The three phases; then: outside the ticket the base's own bits, inside it changes, in memory what is on disk.
  @Test(arguments: computeTypes) func fromCalibrationToAdapter(_ computeType: String?) throws {
    let small = try run(computeType)
    let outcome = try small.run.run()
    let live = outcome.loaded.model
    #expect(live.dtype == (computeType == nil ? .float32 : .bfloat16))
    #expect(
      outcome.records.map(\.phase) == Array(repeating: .calibration, count: 5) + Array(repeating: .adaptation, count: 5)
    )
    #expect(small.notes.contains { $0.contains("calibrate in float32") } == (computeType != nil))
    let (mask, adapter) = (try #require(outcome.mask), try #require(outcome.adapter))
    #expect(mask.keptCount == 1382)
    for name in adapter.tensorNames { #expect(try adapter.entries(of: name)?.dtype == .bfloat16) }
    try live.expectUnchanged(outside: mask, base: try LanguageModel(directory: base, dtype: live.dtype))

    let again = try LoadedModel(directory: base, dtype: live.dtype, adapters: [adapter.path])
    #expect(try again.model.snapshot() == live.snapshot())
    let other = try LoadedModel(
      directory: base, dtype: live.dtype == .float32 ? .bfloat16 : .float32, adapters: [adapter.path])
    #expect(try other.model.values(of: mask) == live.values(of: mask))

    // The same, written as a model: every weight that is not the ticket's has the base's bytes.
    try Adapter.apply([adapter], to: try Checkpoint(directory: base), output: directory("applied"))
    let (before, after) = (try Checkpoint(directory: base), try Checkpoint(directory: directory("applied")))
    #expect(before.tensors == after.tensors)
    var changed = 0
    for tensor in before.tensors {
      let bits = mask[tensor.name]?.bits
      let old = try before.withBytes(of: tensor.name) { Array($0.bindMemory(to: UInt16.self)) }
      let new = try after.withBytes(of: tensor.name) { Array($0.bindMemory(to: UInt16.self)) }
      for index in old.indices where old[index] != new[index] {
        changed += 1
        #expect(bits?[index] == true, "\(tensor.name) changed at \(index)")
      }
    }
    #expect(changed > mask.keptCount * 9 / 10)
  }

  /// The values of the last step, rounded to the nearest bfloat16, ties to even.
  @Test func roundedOnceToNearestEven() throws {
    let model = try LanguageModel(directory: base)
    let name = "model.layers.0.self_attn.q_proj.weight"
    let parameter = try #require(model.parameter(named: name))
    let shape = parameter.shape
    // Exact ties in both directions, just above and just below one; the last bit of a bfloat16 at 1 is 2^-7.
    let trained: [Float] = [1 + 0x1p-8, 1 + 0x3p-8, 1 + 0x1p-8 + 0x1p-23, 1 + 0x1p-8 - 0x1p-23]
    let expected: [Float] = [1, 1 + 0x1p-6, 1 + 0x1p-7, 1]
    let indices = [3, 40, 41, 100]
    let bits = BitMask((0..<shape.reduce(1, *)).map { indices.contains($0) })
    let mask = try Mask(entries: [Mask.Entry(name: name, shape: shape, bits: bits)])
    try parameter.value.fill(1)
    var options = TrainingOptions()
    options.optimizer = .sgd
    options.maximumGradientNorm = nil
    let sink = try TicketSink(options, mask: mask, model: model)
    var gradient = [Float](repeating: 7, count: shape.reduce(1, *))
    for (index, value) in zip(indices, trained) { gradient[index] = 1 - value }
    sink.beginStep(rate: 1, microBatches: 1)
    sink.beginMicroBatch(0)
    try sink.consume(try Tensor.from(gradient, shape: shape), of: parameter)
    try sink.endStep()
    #expect(try model.values(of: mask) == trained)
    try sink.round { $0 == name ? .bfloat16 : nil }
    #expect(try model.values(of: mask) == expected)
    #expect(try model.values(name).enumerated().allSatisfy { indices.contains($0.offset) || $0.element == 1 })
  }

  /// Steps far below what a bfloat16 weight can show: with master values they add up over the run, and the weights end
  /// where a float32 run's end; without, hardly one would have moved.
  @Test func manySmallStepsAddUp() throws {
    func finalWeights(_ computeType: String?) throws -> (moved: [Float], mask: Mask) {
      let small = try run(computeType) {
        $0.calibration = .steps(0)
        $0.training.length = .steps(120)
        $0.training.optimizer = .sgd
        // The gradient's sign changes little in such short steps, and each is below half a bit for nearly all weights.
        $0.training.learningRate = 2e-4
      }
      let outcome = try small.run.run()
      let mask = try #require(outcome.mask)
      let before = try LanguageModel(directory: base).values(of: mask)
      let after = try outcome.loaded.model.values(of: mask)
      return (zip(after, before).map { $0 - $1 }, mask)
    }
    let (wide, mask) = try finalWeights(nil)
    let (half, sameMask) = try finalWeights("bfloat16")
    #expect(mask == sameMask)
    let (wideCount, halfCount) = (wide.count { $0 != 0 }, half.count { $0 != 0 })
    let without = try movedWithoutMasters(mask)
    #expect(wideCount > 100, "the test has no power: \(wideCount) weights moved")
    #expect(halfCount > wideCount * 8 / 10, "\(halfCount) weights moved, in float32 \(wideCount)")
    #expect(without < halfCount / 2, "\(without) weights would have moved without masters")
    let agreeing = zip(wide, half).count { $0 == $1 || abs($0 - $1) <= 0.5 * max(abs($0), abs($1)) }
    #expect(agreeing > mask.keptCount * 9 / 10)
  }

  /// The same steps on the bfloat16 weights themselves.
  private func movedWithoutMasters(_ mask: Mask) throws -> Int {
    let small = try run("bfloat16") {
      $0.method = .fft
      $0.training.length = .steps(120)
      $0.training.optimizer = .sgd
      $0.training.learningRate = 2e-4
    }
    let model = try small.run.run().loaded.model
    let before = try LanguageModel(directory: base).values(of: mask)
    return zip(try model.values(of: mask), before).count { $0 != $1 }
  }

  /// Weights in the type they are computed in, and four bytes a ticket weight for master values where that is bfloat16.
  @Test(arguments: computeTypes) func planStatesTheBytes(_ computeType: String?) throws {
    let small = try run(computeType) { $0.calibration = .steps(0) }
    try withExtendedLifetime(small) {
      let rows = try goldens.rows().map { RowSize($0) }
      let plan = try TrainingPlan(
        small.run.configuration, model: try ModelConfiguration(directory: base), rows: rows, rate: nil)
      let adaptation = try #require(plan.memory.phases.first { $0.name == "adaptation" })
      func bytes(_ part: String) -> Int { adaptation.parts.first { $0.name == part }?.bytes ?? 0 }
      let outcome = try small.run.run()
      let kept = try #require(outcome.mask).keptCount
      #expect(bytes("weights") == outcome.loaded.model.parameters.reduce(0) { $0 + $1.value.byteCount })
      #expect(bytes("ticket: float32 master values") == (computeType == nil ? 0 : 4 * kept))
      #expect(outcome.sizes.first { $0.name == "base model" }?.bytes == plan.parameters * 2)
      #expect(plan.dtype == computeType ?? "float32")
    }
  }
}
