public import ArgumentParser
public import Tickets

extension ValueCoding: ExpressibleByArgument {}
