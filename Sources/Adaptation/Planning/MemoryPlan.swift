/// Bytes that a run holds, phase by phase, before it begins.
public struct MemoryPlan: Encodable, Equatable, Sendable {
  public struct Part: Encodable, Equatable, Sendable {
    public let name: String
    public let bytes: Int
  }

  public struct Phase: Encodable, Equatable, Sendable {
    public let name: String
    public let parts: [Part]
    public let bytes: Int

    init(_ name: String, _ parts: [Part]) {
      self.name = name
      self.parts = parts.filter { $0.bytes > 0 }
      bytes = parts.reduce(0) { $0 + $1.bytes }
    }
  }

  public let phases: [Phase]
  /// The largest phase's: on the CPU the process's peak resident size, elsewhere the device's memory.
  public let peakBytes: Int

  init(_ phases: [Phase]) {
    self.phases = phases
    peakBytes = phases.map(\.bytes).max() ?? 0
  }

  /// The phase that decides.
  public var largest: Phase? { phases.max { $0.bytes < $1.bytes } }
}
