import Synchronization

/// Digests by tensor name, filled from several threads.
final class DigestTable: Sendable {
  private let table = Mutex<[String: String]>([:])

  func set(_ digest: String, of name: String) { table.withLock { $0[name] = digest } }
  var values: [String: String] { table.withLock { $0 } }
}
