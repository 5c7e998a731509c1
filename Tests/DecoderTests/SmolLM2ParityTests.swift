import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Torch

/// Where the optional comparison finds its files.
private enum ParityFiles {
  static let directory = ProcessInfo.processInfo.environment["LOTA_SMOLLM2"] ?? ""
  static let goldens = ProcessInfo.processInfo.environment["LOTA_SMOLLM2_GOLDENS"] ?? ""

  static var areThere: Bool {
    FileManager.default.fileExists(atPath: directory + "/config.json")
      && FileManager.default.fileExists(atPath: goldens)
  }
}

/// A real model against transformers. Off unless the environment names the model and the reference values, which
/// Scripts/parity/smollm2.py writes.
@Suite(
  .engine,
  .enabled(
    if: ParityFiles.areThere, "LOTA_SMOLLM2 and LOTA_SMOLLM2_GOLDENS name no files: see Scripts/parity/smollm2.py"))
struct SmolLM2ParityTests {
  private let model: LanguageModel
  private let goldens: Goldens

  init() throws {
    model = try LanguageModel(directory: ParityFiles.directory)
    goldens = try Goldens(ParityFiles.goldens)
  }

  private var prompts: [[Int]] {
    get throws {
      let ids = try goldens.integers("prompts").map(Int.init)
      let bounds = try goldens.integers("promptOffsets").map(Int.init)
      return zip(bounds, bounds.dropFirst()).map { Array(ids[$0..<$1]) }
    }
  }

  /// All prompts in one packed batch.
  @Test func logits() throws {
    let packed = try model.pack(try prompts)
    let logits = try model.logits(packed)
    let expected = try goldens.tensor("logits")
    #expect(logits.shape == expected.shape)
    try logits.add(expected, times: -1)
    let worst = try logits.withBytes { bytes in
      bytes.bindMemory(to: Float.self).reduce(Float(0)) { max($0, $1.isNaN ? .infinity : abs($1)) }
    }
    print("SmolLM2: largest logit difference over \(packed.tokenCount) positions: \(worst)")
    #expect(worst < 5e-4)
  }

  @Test func greedyContinuations() throws {
    let expected = try goldens.tensor("continuations")
    let found = try Generator(model).generate(try prompts, options: try SamplingOptions(maximumTokens: 64))
    let leads = try goldens.values("leads")
    for (index, ids) in found.enumerated() {
      let reference = try expected.rows(index..<(index + 1)).values(as: Int32.self).map(Int.init)
      let first = zip(ids, reference).enumerated().first { $0.element.0 != $0.element.1 }?.offset
      #expect(
        ids == reference,
        "prompt \(index) differs at \(first ?? -1), where the lead is \(leads[index * 64 + (first ?? 0)])")
    }
  }

  /// In float64 within 1e-5 of PyTorch's float64; in float32 no farther from it than PyTorch's own float32.
  @Test func everyGradient() throws {
    let float32Maximum = try number("float32Maximum")
    let float32Norm = try number("float32Norm")
    try expectGradients(model, maximum: float32Maximum, norm: float32Norm)
    try expectGradients(try LanguageModel(directory: ParityFiles.directory, dtype: .float64), maximum: 1e-5, norm: 1e-5)
  }

  private func expectGradients(_ model: LanguageModel, maximum: Double, norm: Double) throws {
    let sequences = try PackedSequences(
      tokens: try goldens.integers("tokens"), offsets: try goldens.integers("offsets"),
      vocabularySize: model.configuration.vocabularySize)
    let labels = try Labels(rows: try goldens.integers("labelRows"), targets: try goldens.integers("labelTargets"))
    let sink = ComparingSink(goldens)
    let losses: [Double] = try model.backward(sequences, labels: labels, scale: try number("scale"), sink: sink)
      .values()
    expectClose(losses, try goldens.values("losses"), absolute: model.dtype == .float64 ? 1e-5 : 2e-4)
    #expect(sink.errors.count == model.parameters.count)
    for (name, errors) in sink.errors {
      #expect(errors.maximum <= maximum && errors.norm <= norm, "\(model.dtype) \(name): \(errors)")
    }
    let norms = sink.errors.values.map(\.norm).sorted()
    print(
      "SmolLM2 in \(model.dtype): gradients differ by at most", sink.errors.values.map(\.maximum).max() ?? 0,
      "of the largest entry; in norm by", norms.last ?? 0, "at most,", norms[norms.count / 2], "in the median")
  }

  private func number(_ key: String) throws -> Double { try #require(goldens.file.metadata[key].flatMap(Double.init)) }
}

private final class ComparingSink: GradientSink {
  private(set) var errors: [String: (maximum: Double, norm: Double)] = [:]
  private let goldens: Goldens

  init(_ goldens: Goldens) { self.goldens = goldens }

  func needsGradient(of parameter: Parameter) -> Bool { true }

  func consume(_ gradient: Tensor, of parameter: Parameter) throws {
    let expected = try goldens.tensor("gradient." + parameter.name)
    let (found, reference): ([Double], [Double]) = (try gradient.values(), try expected.values())
    errors[parameter.name] = relativeErrors(found, reference)
  }
}
