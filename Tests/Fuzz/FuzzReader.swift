import Foundation

/// A reader under test: how to make inputs for it, and how to call it.
struct FuzzReader: Sendable {
  typealias Read = (FuzzInput) throws -> Void

  struct Seeds: ExpressibleByArrayLiteral {
    var valid: [FuzzInput]
    /// Made to be refused, or to cost too much.
    var hostile: [FuzzInput] = []

    init(_ valid: [FuzzInput], hostile: [FuzzInput] = []) {
      self.valid = valid
      self.hostile = hostile
    }

    init(arrayLiteral elements: FuzzInput...) { valid = elements }
  }

  let name: String
  /// What it reads, in a few words.
  let summary: String
  /// Words of its format, which mutations put in.
  let dictionary: [String]
  /// Small inputs, valid and hostile, from which others are made.
  let seeds: @Sendable () throws -> Seeds
  /// Lays out in a folder what every input needs, and gives the function that reads one.
  let open: @Sendable (Workspace) throws -> Read

  init(
    _ name: String, _ summary: String, dictionary: [String] = [], seeds: @escaping @Sendable () throws -> Seeds,
    open: @escaping @Sendable (Workspace) throws -> Read
  ) {
    self.name = name
    self.summary = summary
    self.dictionary = dictionary
    self.seeds = seeds
    self.open = open
  }

  /// The readers that a campaign runs.
  static let all: [FuzzReader] =
    checkpoints + gguf + tokenizers + adapters + masks + rows + evaluation + plans

  static func named(_ name: String) -> FuzzReader? { (all + planted).first { $0.name == name } }

  /// Input number `index` of a campaign: the same for the same seed, reader and number. The first are the seeds themselves.
  func input(seed: UInt64, index: Int, of seeds: Seeds) -> FuzzInput {
    let all = seeds.valid + seeds.hostile
    if index < all.count { return all[index] }
    var mutator = Mutator(seed: seed, reader: name, index: index, dictionary: dictionary)
    return mutator.input(from: seeds)
  }
}

/// A folder of files that a reader is given, in memory where the system has such a place.
struct Workspace: Sendable {
  let path: String

  func path(_ name: String) -> String { path + "/" + name }

  /// The path of a file with this content. Folders in the name are made.
  @discardableResult
  func write(_ bytes: [UInt8], _ name: String) throws -> String {
    let path = path(name)
    guard let file = fopen(path, "wb") else {
      let folder = (path as NSString).deletingLastPathComponent
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      guard let file = fopen(path, "wb") else { throw HarnessError(reason: "cannot write \(path)") }
      return try fill(file, bytes, path)
    }
    return try fill(file, bytes, path)
  }

  @discardableResult
  func write(_ text: String, _ name: String) throws -> String { try write(Array(text.utf8), name) }

  private func fill(_ file: UnsafeMutablePointer<FILE>, _ bytes: [UInt8], _ path: String) throws -> String {
    let count = bytes.isEmpty ? 0 : fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, count == bytes.count else { throw HarnessError(reason: "cannot write \(path)") }
    return path
  }
}

/// What is wrong with the harness itself, never with a reader.
struct HarnessError: Error, CustomStringConvertible {
  let reason: String
  var description: String { reason }
}
