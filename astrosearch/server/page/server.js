// Questions to the server, and changes that it is asked to make.

export class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function answered(address, options) {
  const token = sessionStorage.getItem("token");
  if (token) options.headers = { ...options.headers, Authorization: `Bearer ${token}` };
  const response = await fetch(address, options);
  if (response.ok) return response;
  let detail = response.statusText;
  try {
    detail = (await response.json()).detail;
  } catch {
    // A proxy's error is not JSON.
  }
  throw new Refusal(response.status, detail);
}

export function ask(path, parameters, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) if (one !== "" && one != null) query.append(name, one);
  }
  return answered(`${path}?${query}`, { signal });
}

export const askJson = async (...question) => (await ask(...question)).json();

export async function send(method, path, record) {
  const body = record && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(record) };
  return (await answered(path, { method, ...body })).json();
}

// A paper's address below another; its slash stays.
export const pathOf = (place, id) => `${place}/${id.split("/").map(encodeURIComponent).join("/")}`;
