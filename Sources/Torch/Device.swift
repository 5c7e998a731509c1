package import CTorch

/// Where a tensor lives: `cpu`, `cuda`, `cuda:1` or `mps`.
public struct Device: Hashable, Sendable, CustomStringConvertible {
  public enum Kind: String, Sendable, CaseIterable { case cpu, cuda, mps }

  public let kind: Kind
  public let index: Int

  public static let cpu = Device(kind: .cpu, index: 0)

  public init(kind: Kind, index: Int = 0) {
    self.kind = kind
    self.index = index
  }

  /// Parses `cpu`, `mps`, `cuda` or `cuda:N`; nil for anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard let kind = parts.first.flatMap({ Kind(rawValue: String($0)) }), parts.count <= 2 else { return nil }
    if parts.count == 2 {
      guard kind == .cuda, let index = Int(parts[1]), index >= 0 else { return nil }
      self.init(kind: kind, index: index)
    } else {
      self.init(kind: kind)
    }
  }

  public var description: String { kind == .cuda ? "cuda:\(index)" : kind.rawValue }

  /// Whether this process can use the device.
  public var isAvailable: Bool { index < Int(ct_device_count(cValue.kind)) }

  package var cValue: ct_device {
    switch kind {
    case .cpu: ct_device(kind: CT_CPU, index: 0)
    case .cuda: ct_device(kind: CT_CUDA, index: Int32(clamping: index))
    case .mps: ct_device(kind: CT_MPS, index: 0)
    }
  }

  init(_ value: ct_device) {
    switch value.kind {
    case CT_CUDA: self.init(kind: .cuda, index: Int(value.index))
    case CT_MPS: self.init(kind: .mps)
    default: self = .cpu
    }
  }
}
