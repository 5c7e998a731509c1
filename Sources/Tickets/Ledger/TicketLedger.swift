import Checkpoints
import Foundation
import Primitives

/// Which adapters a model directory holds: `lota-ledger.json` in it, with a copy of every adapter under `lota-tasks`, so that each
/// task can be taken out exactly wherever its adapter came from.
///
/// The weights in the directory are the base's plus these adapters', whose tickets share no weight. Directory, ledger and copies are
/// written aside and shown together, so that they always belong together.
public struct TicketLedger: Codable, Equatable, Sendable {
  public static let fileName = "lota-ledger.json"
  public static let tasksName = "lota-tasks"
  static let formatName = "lota-ledger"
  static let currentVersion = 1

  /// An applied adapter.
  public struct Task: Codable, Equatable, Sendable {
    /// Also the folder of its copy under ``TicketLedger/tasksName``.
    public let name: String
    /// SHA-256 of its `adapter_config.json`, lower-case hex; that binds its records.
    public let configurationDigest: String
    /// Number of weights that it owns.
    public let owned: Int
    /// By tensor.
    public let tensors: [String: Int]

    enum CodingKeys: String, CodingKey {
      case name, owned, tensors
      case configurationDigest = "configuration_sha256"
    }
  }

  public let format: String
  public let version: Int
  /// ``ModelFingerprint`` of the weights without any task.
  public let baseFingerprint: String
  /// In the order in which they were added.
  public internal(set) var tasks: [Task]

  enum CodingKeys: String, CodingKey {
    case format, version, tasks
    case baseFingerprint = "base_fingerprint"
  }

  init(baseFingerprint: String) {
    format = Self.formatName
    version = Self.currentVersion
    self.baseFingerprint = baseFingerprint
    tasks = []
  }

  /// The ledger of a model directory; nil where there is none.
  ///
  /// - Throws: `ledgerMalformed`.
  public init?(directory: String) throws {
    let path = FileSystem.join(directory, Self.fileName)
    guard FileSystem.exists(path) else { return nil }
    func malformed(_ problem: String) -> TicketsError { .ledgerMalformed(path: path, problem: problem) }
    let data = try FileSystem.read(path)
    do {
      self = try JSONDecoder().decode(TicketLedger.self, from: data)
    } catch is DecodingError {
      throw malformed("it lacks a key, or one has the wrong type")
    }
    guard format == Self.formatName else { throw malformed("its format is \(format)") }
    guard version == Self.currentVersion else {
      throw malformed("its version is \(version), and this program reads version \(Self.currentVersion)")
    }
    guard Set(tasks.map(\.name)).count == tasks.count else { throw malformed("it names a task twice") }
    if let task = tasks.first(where: { !Self.isUsable(name: $0.name) }) {
      throw malformed("a task's name is \(JSONValue.quoted(task.name))")
    }
    if let task = tasks.first(where: { !Self.isPossible($0) }) {
      throw malformed("task \(task.name) does not own \(task.owned) weights in its tensors")
    }
  }

  /// Whether the weights that a task owns, tensor by tensor, are as many as it says; sums of such numbers cannot overflow.
  private static func isPossible(_ task: Task) -> Bool {
    task.tensors.values.allSatisfy { (0...Adapter.maximumElementCount).contains($0) }
      && task.tensors.values.reduce(0, +) == task.owned
  }

  /// Whether a task may have the name: letters, digits, `.`, `_` and `-`, no dot first.
  public static func isUsable(name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 100 && name.first != "."
      && name.utf8.allSatisfy {
        (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || [45, 46, 95].contains($0)
      }
  }

  func write(to directory: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try FileSystem.writeAtomically(
      String(decoding: try encoder.encode(self), as: UTF8.self) + "\n",
      to: FileSystem.join(directory, Self.fileName))
  }

  /// The copies of the tasks' adapters, checked against the ledger.
  ///
  /// - Throws: `ledgerMalformed` naming the task whose copy is another than the one that was added.
  func adapters(in directory: String) throws -> [Adapter] {
    try tasks.map { task in
      let adapter = try Adapter(directory: Self.copyPath(of: task.name, in: directory))
      guard try adapter.configurationDigest == task.configurationDigest, adapter.owned == task.tensors,
        adapter.configuration.trainedCount == task.owned
      else {
        throw TicketsError.ledgerMalformed(
          path: FileSystem.join(directory, Self.fileName),
          problem: "the adapter of task \(task.name) is not the one that was added")
      }
      return adapter
    }
  }

  static func copyPath(of task: String, in directory: String) -> String {
    FileSystem.join(FileSystem.join(directory, tasksName), task)
  }
}

extension TicketLedger.Task {
  init(name: String, adapter: Adapter) throws {
    self.init(
      name: name, configurationDigest: try adapter.configurationDigest, owned: adapter.configuration.trainedCount,
      tensors: adapter.owned)
  }

  /// Its share of each matrix, by layer and projection, over the tensors that it changes.
  ///
  /// - Parameter shapes: of the model's tensors.
  public func density(shapes: [String: [Int]]) -> MaskDensity {
    MaskDensity(
      TicketScope.canonicalOrder(Array(tensors.keys)).map { name in
        (name, .init(kept: tensors[name] ?? 0, scoped: TensorDescription.elementCount(of: shapes[name] ?? []) ?? 0))
      })
  }
}

extension Adapter {
  /// SHA-256 of `adapter_config.json`.
  fileprivate var configurationDigest: String {
    get throws {
      try FileSystem.read(FileSystem.join(path, Self.configurationFileName))
        .withUnsafeBytes(ModelFingerprint.digest(of:))
    }
  }

  /// Weights changed, by tensor.
  fileprivate var owned: [String: Int] { configuration.baseTensors.mapValues(\.trained) }
}
