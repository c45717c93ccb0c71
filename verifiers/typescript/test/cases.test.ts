/** The cases that all verifiers share; see verifiers/vectors/README.md. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { StatusList as IndependentList } from '@sd-jwt/jwt-status-list'
import type { BitsPerStatus } from '@sd-jwt/jwt-status-list'
import { StatusList } from '@signet/verifier'
import { verdictOn } from './cases.js'
import type { Case, Shared } from './cases.js'

interface Expecting extends Case {
  name: string
  expect: Record<string, unknown>
}

interface Packed {
  name: string
  bits: number
  lst: string
  size: number
  statuses: Record<string, number>
}

interface CaseFile extends Shared {
  cases: Expecting[]
  lists: Packed[]
}

const file = new URL('../../vectors/cases.json', import.meta.url)
const caseFile = JSON.parse(readFileSync(file, 'utf8')) as CaseFile

test('every shared case has the expected result', async (t) => {
  assert.ok(caseFile.cases.length > 500)
  for (const one of caseFile.cases) {
    await t.test(one.name, async () => {
      const expected =
        one.expect['error'] === undefined ? one.expect : { error: one.expect['error'] }
      assert.deepEqual(await verdictOn(caseFile, one), expected)
    })
  }
})

test('lists of the draft are unpacked as by @sd-jwt/jwt-status-list', async (t) => {
  assert.equal(caseFile.lists.length, 6)
  for (const { name, bits, lst, size, statuses } of caseFile.lists) {
    await t.test(name, async () => {
      const list = await StatusList.unpack(bits, lst)
      const independent = IndependentList.decompressStatusList(lst, bits as BitsPerStatus)
      assert.ok(list.size >= size)
      const wrong: unknown[] = []
      for (let index = 0; index < size; index++) {
        const [ours, theirs] = [list.at(index), independent.getStatus(index)]
        if (ours !== (statuses[index] ?? 0) || ours !== theirs) wrong.push({ index, ours, theirs })
      }
      assert.deepEqual(wrong, [])
      assert.equal(list.at(list.size), undefined)
    })
  }
})
