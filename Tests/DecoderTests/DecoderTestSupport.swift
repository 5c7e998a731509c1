import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Torch

/// Values written by Scripts/goldens/decoder.py.
struct Goldens {
  static let models = ["llama-tied", "llama-bias", "llama-head", "llama3", "mistral", "qwen2"]

  static var directory: String { get throws { try #require(Bundle.module.resourcePath) + "/Goldens" } }

  static func layers() throws -> Goldens { try Goldens(directory + "/layers.safetensors") }

  let file: SafetensorsFile

  init(_ path: String) throws { file = try SafetensorsFile(path: path) }

  func tensor(_ name: String) throws -> Tensor {
    let description = try file.description(of: name)
    let tensor = try Tensor.empty(description.shape, description.dtype)
    try file.withBytes(of: name) { try tensor.copyBytes(from: $0) }
    return tensor
  }

  func tensor(_ name: String, as dtype: DType) throws -> Tensor { try tensor(name).converted(to: dtype) }
  func values(_ name: String) throws -> [Double] { try tensor(name).values() }
  func integers(_ name: String) throws -> [Int32] { try tensor(name).values() }
}

/// One of the tiny reference models, with its packed batch.
struct GoldenModel {
  let directory: String
  let goldens: Goldens
  let tokens: [Int32]
  let offsets: [Int32]
  let labelRows: [Int32]
  let labelTargets: [Int32]
  let scale: Double

  init(_ name: String) throws {
    directory = try Goldens.directory + "/" + name
    goldens = try Goldens(directory + "/goldens.safetensors")
    tokens = try goldens.integers("tokens")
    offsets = try goldens.integers("offsets")
    labelRows = try goldens.integers("labelRows")
    labelTargets = try goldens.integers("labelTargets")
    scale = try #require(goldens.file.metadata["scale"].flatMap(Double.init))
  }

  func load(_ dtype: DType? = nil) throws -> LanguageModel { try LanguageModel(directory: directory, dtype: dtype) }

  func sequences(_ model: LanguageModel) throws -> PackedSequences {
    try PackedSequences(tokens: tokens, offsets: offsets, vocabularySize: model.configuration.vocabularySize)
  }

  func labels() throws -> Labels { try Labels(rows: labelRows, targets: labelTargets) }

  var prompts: [[Int]] {
    get throws {
      let ids = try goldens.integers("prompts").map(Int.init)
      let bounds = try goldens.integers("promptOffsets").map(Int.init)
      return zip(bounds, bounds.dropFirst()).map { Array(ids[$0..<$1]) }
    }
  }

  var continuations: [[Int]] {
    get throws {
      let tensor = try goldens.tensor("continuations")
      return try (0..<tensor.shape[0]).map { try tensor.rows($0..<($0 + 1)).values(as: Int32.self).map(Int.init) }
    }
  }
}

/// Keeps a copy of every gradient it is given.
final class RecordingSink: GradientSink {
  private(set) var gradients: [String: [Double]] = [:]
  private(set) var deliveries: [String] = []
  private let isWanted: (String) -> Bool

  init(_ isWanted: @escaping (String) -> Bool = { _ in true }) { self.isWanted = isWanted }

  func needsGradient(of parameter: Parameter) -> Bool { isWanted(parameter.name) }

  func consume(_ gradient: Tensor, of parameter: Parameter) throws {
    #expect(gradient.shape == parameter.shape, "\(parameter.name)")
    deliveries.append(parameter.name)
    gradients[parameter.name] = try gradient.values()
  }
}

/// Records, then overwrites the weight and the gradient's buffer with nonsense, as the rudest sink could.
final class OverwritingSink: GradientSink {
  private(set) var gradients: [String: [Double]] = [:]

  func needsGradient(of parameter: Parameter) -> Bool { true }

  func consume(_ gradient: Tensor, of parameter: Parameter) throws {
    gradients[parameter.name] = try gradient.values()
    try parameter.value.add(gradient, times: -10)
    try parameter.value.fill(3)
    try gradient.fill(.nan)
  }
}

extension ModelConfiguration {
  /// Small enough for finite differences.
  static func tiny(
    heads: Int = 2, keyValueHeads: Int = 1, window: Int? = nil, tied: Bool = false, biases: Bool = true,
    layers: Int = 2,
    vocabulary: Int = 11, ropeScaling: RopeScaling = .none
  ) throws -> ModelConfiguration {
    try ModelConfiguration(
      family: window == nil ? .llama : .mistral, vocabularySize: vocabulary, hiddenSize: 8, intermediateSize: 6,
      layerCount: layers, headCount: heads, keyValueHeadCount: keyValueHeads, headSize: 4, rmsNormEpsilon: 1e-5,
      ropeScaling: ropeScaling, slidingWindow: window, tiesEmbeddings: tied, hasQueryKeyValueBias: biases,
      hasOutputBias: biases, hasMLPBias: biases)
  }
}

extension LanguageModel {
  static func random(_ configuration: ModelConfiguration, _ dtype: DType, seed: UInt64 = 1) throws -> LanguageModel {
    let model = try LanguageModel(configuration, dtype: dtype)
    var generator = SeededGenerator(seed: seed)
    for parameter in model.parameters {
      let isNorm = parameter.name.contains("norm")
      let values = generator.values(parameter.shape.reduce(1, *), scale: isNorm ? 0.5 : 0.8)
      let host = try Tensor.from(values.map { isNorm ? 1 + $0 : $0 }, shape: parameter.shape)
      try parameter.value.copy(from: host)
    }
    return model
  }

  func pack(_ sequences: [[Int]]) throws -> PackedSequences {
    try PackedSequences(sequences, vocabularySize: configuration.vocabularySize)
  }
}

/// Every token but each sequence's first is a label.
func allLabels(_ sequences: [[Int]]) throws -> Labels {
  var rows: [Int32] = []
  var targets: [Int32] = []
  var start = 0
  for sequence in sequences {
    for index in sequence.indices.dropLast() {
      rows.append(Int32(start + index))
      targets.append(Int32(sequence[index + 1]))
    }
    start += sequence.count
  }
  return try Labels(rows: rows, targets: targets)
}

/// A tensor of any element type from doubles.
func tensor(_ values: [Double], _ shape: [Int], _ dtype: DType = .float64) throws -> Tensor {
  try Tensor.from(values, shape: shape).converted(to: dtype)
}

/// Checks `gradient` against central differences of `function` at `point`, in every direction.
func expectGradient(
  _ gradient: [Double], of function: ([Double]) throws -> Double, at point: [Double], relative: Double = 1e-6,
  _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let step = 1e-5
  let differences = try point.indices.map { index in
    var moved = point
    moved[index] = point[index] + step
    let above = try function(moved)
    moved[index] = point[index] - step
    return try (above - function(moved)) / (2 * step)
  }
  let largest = max(gradient.map(abs).max() ?? 0, 1e-3)
  expectClose(
    gradient, differences, absolute: relative * largest, relative: relative, what, sourceLocation: sourceLocation)
}

func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

/// Largest difference relative to the largest expected value, and the difference's norm relative to the expected norm.
func relativeErrors(_ actual: [Double], _ expected: [Double]) -> (maximum: Double, norm: Double) {
  guard actual.count == expected.count else { return (.infinity, .infinity) }
  let differences = zip(actual, expected).map { $0 - $1 }
  let largest = max(expected.map(abs).max() ?? 0, .leastNormalMagnitude)
  let norm = max(dot(expected, expected).squareRoot(), .leastNormalMagnitude)
  return (differences.map(abs).max().map { $0 / largest } ?? 0, dot(differences, differences).squareRoot() / norm)
}
