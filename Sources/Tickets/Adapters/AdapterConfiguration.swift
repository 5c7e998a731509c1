import Checkpoints
import Foundation
import Primitives
public import Torch

/// `adapter_config.json`: what an adapter is, what it changes, and which base it belongs to.
public struct AdapterConfiguration: Decodable, Equatable, Sendable {
  public static let formatName = "lota-adapter"
  public static let currentVersion = 2

  /// A tensor of the base that the adapter changes.
  public struct BaseTensor: Codable, Equatable, Sendable {
    /// SHA-256 of the base tensor's bytes, lower-case hex.
    public let sha256: String
    /// Element type, as safetensors names it.
    public let dtype: DType
    public let shape: [Int]
    /// Number of weights changed.
    public let trained: Int

    init(base: TensorDescription, sha256: String, trained: Int) {
      self.sha256 = sha256
      dtype = base.dtype
      shape = base.shape
      self.trained = trained
    }

    private enum CodingKeys: String, CodingKey, CaseIterable { case sha256, dtype, shape, trained }

    public init(from decoder: any Decoder) throws {
      try rejectUnknownKeys(decoder, known: CodingKeys.allCases.map(\.rawValue))
      let values = try decoder.container(keyedBy: CodingKeys.self)
      sha256 = try values.decode(String.self, forKey: .sha256)
      shape = try values.decode([Int].self, forKey: .shape)
      trained = try values.decode(Int.self, forKey: .trained)
      let name = try values.decode(String.self, forKey: .dtype)
      guard let dtype = DType(rawValue: name) else {
        throw DecodingError.dataCorruptedError(forKey: .dtype, in: values, debugDescription: "unknown dtype \(name)")
      }
      self.dtype = dtype
    }

    public func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(sha256, forKey: .sha256)
      try values.encode(dtype.rawValue, forKey: .dtype)
      try values.encode(shape, forKey: .shape)
      try values.encode(trained, forKey: .trained)
    }
  }

  public let format: String
  public let version: Int
  /// How it was trained, `lota` for example.
  public let method: String
  /// Fraction of the scope that stayed frozen, as requested.
  public let sparsity: Double
  /// Number of weights changed, in all tensors.
  public let trainedCount: Int
  /// Number of weights that could have been.
  public let scopedCount: Int
  /// ``ModelFingerprint`` of the base.
  public let baseFingerprint: String
  /// Size of all of the base's tensors, in bytes.
  public let baseByteCount: Int
  /// Binds the records to this configuration: SHA-256, in lower-case hex, over the first 32 bytes (two digests) of every record, in
  /// the order of the tensors' names by their UTF-8 bytes.
  public let recordsDigest: String
  /// How the records store values.
  public let valueCoding: ValueCoding
  /// What that costs, where it is lossy.
  public let valueError: ValueError?
  /// Only tensors that the adapter changes.
  public let baseTensors: [String: BaseTensor]
  /// Provenance: steps, data digest, seed, and whatever else the trainer records.
  public let training: [String: String]

  init(
    method: String, sparsity: Double, scopedCount: Int, baseFingerprint: String, baseByteCount: Int,
    recordsDigest: String, valueCoding: ValueCoding, valueError: ValueError?, baseTensors: [String: BaseTensor],
    training: [String: String]
  ) {
    format = Self.formatName
    version = Self.currentVersion
    self.method = method
    self.sparsity = sparsity
    trainedCount = baseTensors.values.reduce(0) { $0 + $1.trained }
    self.scopedCount = scopedCount
    self.baseFingerprint = baseFingerprint
    self.baseByteCount = baseByteCount
    self.recordsDigest = recordsDigest
    self.valueCoding = valueCoding
    self.valueError = valueError
    self.baseTensors = baseTensors
    self.training = training
  }

  private enum CodingKeys: String, CodingKey, CaseIterable {
    case format, version, method, sparsity
    case trainedCount = "trained_count"
    case scopedCount = "scoped_count"
    case baseFingerprint = "base_fingerprint"
    case baseByteCount = "base_byte_count"
    case recordsDigest = "records_sha256"
    case valueCoding = "value_coding"
    case valueError = "value_error"
    case baseTensors = "base_tensors"
    case training
  }

  public init(from decoder: any Decoder) throws {
    try rejectUnknownKeys(decoder, known: CodingKeys.allCases.map(\.rawValue))
    let values = try decoder.container(keyedBy: CodingKeys.self)
    format = try values.decode(String.self, forKey: .format)
    version = try values.decode(Int.self, forKey: .version)
    method = try values.decode(String.self, forKey: .method)
    sparsity = try values.decode(Double.self, forKey: .sparsity)
    trainedCount = try values.decode(Int.self, forKey: .trainedCount)
    scopedCount = try values.decode(Int.self, forKey: .scopedCount)
    baseFingerprint = try values.decode(String.self, forKey: .baseFingerprint)
    baseByteCount = try values.decode(Int.self, forKey: .baseByteCount)
    recordsDigest = try values.decode(String.self, forKey: .recordsDigest)
    let coding =
      values.contains(.valueCoding)
      ? try values.decode(String.self, forKey: .valueCoding) : ValueCoding.exact.rawValue
    guard let valueCoding = ValueCoding(rawValue: coding) else {
      throw DecodingError.dataCorruptedError(
        forKey: .valueCoding, in: values, debugDescription: "unknown value coding \(coding)")
    }
    self.valueCoding = valueCoding
    valueError = values.contains(.valueError) ? try values.decode(ValueError.self, forKey: .valueError) : nil
    baseTensors = try values.decode([String: BaseTensor].self, forKey: .baseTensors)
    training = try values.decode([String: String].self, forKey: .training)
  }

  /// The file's content: keys sorted, a line for each key and each tensor, so that equal configurations give equal bytes.
  func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    func line(_ key: String, _ value: some Encodable) throws -> String {
      "\(JSONValue.quoted(key)): \(String(decoding: try encoder.encode(value), as: UTF8.self))"
    }
    let tensors = try TicketScope.canonicalOrder(Array(baseTensors.keys)).map { try line($0, baseTensors[$0]) }
    let head = [
      try line("format", format), try line("version", version), try line("method", method),
      try line("sparsity", sparsity),
      try line("trained_count", trainedCount), try line("scoped_count", scopedCount), try line("training", training),
      try line("base_fingerprint", baseFingerprint), try line("base_byte_count", baseByteCount),
      try line("records_sha256", recordsDigest), try line("value_coding", valueCoding),
    ]
    let error = try valueError.map { [try line("value_error", $0)] } ?? []
    let lines =
      head + error + [
        "\"base_tensors\": {\n    " + tensors.joined(separator: ",\n    ") + "\n  }"
      ]
    return Data(("{\n  " + lines.joined(separator: ",\n  ") + "\n}\n").utf8)
  }

  /// Reads the file's content. Format and version are looked at first, so that another format's file is named as such.
  static func decode(_ data: Data, path: String) throws -> AdapterConfiguration {
    let json = try FileSystem.parseJSON(data, path: path)
    guard json["format"]?.stringValue == formatName else {
      let kind = json["peft_type"]?.stringValue.map { "a PEFT adapter of type \($0)" } ?? "of another kind"
      throw TicketsError.adapterMalformed(path: path, problem: "it is \(kind), not a \(formatName)")
    }
    if let version = json["version"]?.integerValue, version != currentVersion {
      throw TicketsError.adapterUnsupportedVersion(path: path, version: version)
    }
    do {
      return try JSONDecoder().decode(AdapterConfiguration.self, from: data)
    } catch let error as DecodingError {
      throw TicketsError.adapterMalformed(path: path, problem: error.summary)
    }
  }
}

/// Any key, for looking at the keys there are.
private struct AnyKey: CodingKey {
  let stringValue: String
  let intValue: Int? = nil
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}

func rejectUnknownKeys(_ decoder: any Decoder, known: [String]) throws {
  let keys = try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue)
  guard let unknown = keys.filter({ !known.contains($0) }).min() else { return }
  throw DecodingError.dataCorrupted(
    .init(codingPath: decoder.codingPath, debugDescription: "unknown key \(unknown)"))
}

extension DecodingError {
  /// Where and what, in one line.
  fileprivate var summary: String {
    switch self {
    case .keyNotFound(let key, let context): "key \(Self.path(context.codingPath + [key])) is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      "key \(Self.path(context.codingPath)) has the wrong type"
    case .dataCorrupted(let context):
      context.codingPath.isEmpty
        ? context.debugDescription : "key \(Self.path(context.codingPath)): \(context.debugDescription)"
    @unknown default: "it cannot be decoded"
    }
  }

  private static func path(_ keys: [any CodingKey]) -> String { keys.map(\.stringValue).joined(separator: "/") }
}
